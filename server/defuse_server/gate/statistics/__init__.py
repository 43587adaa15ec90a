"""Intervals: pure functions of counts, for workers alone (they import scipy)."""
