"""What a process needs of its machine: settings, log, addresses, signals, Redis, an embedded Valkey."""
