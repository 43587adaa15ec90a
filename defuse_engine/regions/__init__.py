"""Step 2 of the method: misclassified codes that lie together and show one mistake."""
