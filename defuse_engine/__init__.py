"""The method: files and arrays in, files and arrays out. It uses no network and no Redis."""
