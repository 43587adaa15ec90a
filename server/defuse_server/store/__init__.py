"""The artifact store, and the uploads that fill it."""
