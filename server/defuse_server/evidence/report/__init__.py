"""The verdict for people: one report, in Markdown and in HTML."""
