"""Receives MLflow's webhooks and gates each new version. It is a process and a client of its own."""
