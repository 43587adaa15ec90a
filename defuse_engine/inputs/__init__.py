"""A job's inputs: the dataset, the models, and whether an audit of them makes sense."""
