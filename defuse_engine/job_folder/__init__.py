"""The contract with whoever starts a job: the folder, its job file, the lines printed, the limits kept."""
