"""Resources in Redis: creating, reading, listing, watching and deleting them."""
