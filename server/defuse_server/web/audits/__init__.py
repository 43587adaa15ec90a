"""The pages of those who run audits: the list, and one audit with all that came of it."""
