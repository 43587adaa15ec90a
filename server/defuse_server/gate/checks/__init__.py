"""The gate's checks, one file for each family."""
