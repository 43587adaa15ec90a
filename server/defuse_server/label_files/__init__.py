"""Tasks and answers as files of others' tools: Label Studio's JSON, and CSV for spreadsheets."""
