"""The pages about audits: their list, and one audit with everything that came of it."""
