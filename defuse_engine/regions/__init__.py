"""Step 2 of the method: regions, misclassified codes that lie together and show one mistake."""
