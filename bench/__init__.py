"""Benchmarks, one file each. Every file has `run(device) -> figures`; the figures are a dict for JSON.

A benchmark may print tables. If it cannot run on this machine (no dataset, no device), it returns
`{"skipped": "why"}`. `python -m bench NAME` prints the figures as its last line and keeps them in
`out/bench/NAME.json`.
"""
