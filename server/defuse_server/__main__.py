"""Run `defuse-server` as `python -m defuse_server`."""

from defuse_server.cli import main

if __name__ == "__main__":
    main()
