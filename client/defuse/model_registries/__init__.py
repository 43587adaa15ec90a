"""Gating the versions of a model registry: a new version against the one that bears an alias.

`gate.py` is the flow, the same for every registry; `registry.py` says what a registry must be able to do, and
each other module is one registry.
"""
