"""What a job works with: the dataset, the models that fit it, and whether an audit of them makes sense."""
