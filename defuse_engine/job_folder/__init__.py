"""The contract of a job: its folder, its job file, the lines it prints, the limits it keeps."""
