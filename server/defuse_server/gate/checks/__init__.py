"""The gate's checks, one file a family."""
