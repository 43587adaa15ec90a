"""Takes jobs off the queue, runs the engine for them, and publishes what it finds."""
