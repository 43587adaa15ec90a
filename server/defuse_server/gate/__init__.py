"""The promotion gate: judges the figures of an evaluation."""
