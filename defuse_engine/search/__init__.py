"""Step 1 of the method: misclassified candidates around the dataset's codes."""
