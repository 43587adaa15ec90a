"""The command `defuse-server` itself; `api/test_processes.py` has what its commands run."""

from importlib.metadata import version

import pytest
import typer
from defuse_server.cli import app
from typer.testing import CliRunner


def options():
    for name, command in typer.main.get_command(app).commands.items():
        for one in command.params:
            if one.param_type_name == "option":
                yield pytest.param(one, id=f"{name} {one.opts[0]}")


@pytest.mark.parametrize("option", list(options()))
def test_every_option_says_what_it_does_its_variable_and_its_default(option):
    what, _, variable = option.help.partition(" [")
    assert what
    assert variable.startswith(f"DEFUSE_{option.name.upper()}; ")
    assert variable.endswith("]")


def test_the_version_is_shown():
    ran = CliRunner().invoke(app, ["--version"])
    assert (ran.exit_code, ran.stdout) == (0, f"defuse-server {version('defuse-audit')}\n")
