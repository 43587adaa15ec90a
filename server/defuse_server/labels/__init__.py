"""Labels: tasks for annotators, their leases, and the consensus of their answers."""
