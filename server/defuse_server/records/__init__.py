"""A resource's life in Redis: made, read, listed, watched, deleted."""
