"""The web pages: /label for annotators, /audits for people who run audits."""
