"""Receives MLflow's webhooks and gates each new version: its own process, and a client of the service."""
