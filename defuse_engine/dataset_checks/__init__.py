"""What a registered dataset shows, and what is likely wrong with it."""
