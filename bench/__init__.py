"""Benchmarks: one file each, with `run(device) -> figures`, a dict that JSON can hold.

A benchmark prints a table as it likes. One that cannot run here (no data set, no device) returns
`{"skipped": "why"}`. `python -m bench NAME` prints the figures as its last line, and keeps them in
`out/bench/NAME.json`.
"""
