"""The web pages: one for annotators, one for those who run audits."""
