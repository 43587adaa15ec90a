"""Jobs: the queue, and the workers that supervise the engine."""
