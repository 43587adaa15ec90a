"""The worker: takes jobs off the queue, runs the engine, and publishes its results."""
