"""Step 4 of the method: fine-tuning on labeled regions, and the choice of its settings."""
