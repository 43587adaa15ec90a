"""Evaluations before they are judged: which audit they stand on, what is frozen, and what they wait for."""
