"""What operators see of the service: its state at a glance, its readiness, and its metrics."""
