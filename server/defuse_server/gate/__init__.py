"""The promotion gate: decides by an evaluation's figures whether a candidate may be promoted."""
