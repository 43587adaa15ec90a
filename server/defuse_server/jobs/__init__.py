"""Jobs as all processes see them: the queue, the inputs of a job, and why one failed."""
