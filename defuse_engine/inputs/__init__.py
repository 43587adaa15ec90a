"""A job's inputs: the dataset and the models, opened, and known to fit each other."""
