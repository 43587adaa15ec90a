"""Tasks and answers as files for other tools: Label Studio's JSON, and CSV for spreadsheets."""
