"""Evaluations before the gate decides: their audit, their frozen inputs, and the wait for an audit."""
