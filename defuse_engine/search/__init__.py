"""Step 1 of the method: the search for misclassified candidates around the dataset's codes."""
