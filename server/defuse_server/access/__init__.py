"""Who calls, and what they may do: roles, tokens, and the log of what callers did."""
