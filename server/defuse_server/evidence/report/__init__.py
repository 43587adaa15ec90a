"""The report of the verdict for people, in Markdown and in HTML."""
