"""The method: numbers in, numbers out; files and arrays, no network, no Redis."""
