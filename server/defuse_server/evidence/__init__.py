"""The evidence of an evaluation: its verdict as JSON, a signed statement, JUnit XML and reports."""
