"""The pages about datasets."""
