"""The command line against a fake server, and as a process of its own."""

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import defuse.cli.run
import pytest


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def command(server, monkeypatch, capsys):
    monkeypatch.setenv("DEFUSE_ADDRESS", server.address)

    def run_command(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = defuse.cli.run.run(arguments)
        return Ran(code, *capsys.readouterr())

    return run_command


@pytest.fixture
def start_process(server):
    """Start `defuse` as a process of its own."""

    def start(*arguments, env=None, **options):
        code = "from defuse.cli import main; main()"
        environment = {**(env or os.environ), "DEFUSE_ADDRESS": server.address}
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments], env=environment, text=True, **options
        )

    return start
