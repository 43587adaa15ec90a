"""Step 5: a candidate beside its baseline."""
