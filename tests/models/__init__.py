"""Makers of small models and data, shared by the tests and the benchmarks."""
