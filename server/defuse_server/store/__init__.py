"""Bytes: the artifact store, and the uploads on their way into it."""
