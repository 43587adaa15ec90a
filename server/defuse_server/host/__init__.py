"""A process and its machine: settings, log, addresses, signals, Redis, an embedded Valkey."""
