"""What an evaluation leaves behind: its verdict as JSON, a signed statement of it, JUnit XML, and reports."""
