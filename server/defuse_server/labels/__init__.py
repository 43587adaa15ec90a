"""Labels: tasks for annotators, leases, and the consensus of the answers."""
