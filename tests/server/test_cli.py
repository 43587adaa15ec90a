"""The command `defuse-server` itself; `api/test_processes.py` has what its commands run."""

from importlib.metadata import version

import pytest
import typer
from defuse_server.cli import EXIT_USAGE, app
from defuse_server.host.settings import misspelt
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


@pytest.mark.parametrize(("kinds", "unknown"), [("audit,dance", "dance"), ("", ""), ("audits", "audits")])
def test_a_kind_of_job_that_does_not_exist_is_refused_with_those_that_do(kinds, unknown, monkeypatch):
    monkeypatch.setenv("DEFUSE_REDIS_URL", "redis://127.0.0.1:1")
    ran = CliRunner().invoke(app, ["worker", "--kinds", kinds])
    assert ran.exit_code == EXIT_USAGE
    assert (
        "kinds: Value error, expected some of inspection, audit, region-split, correction, evaluation, "
        f"vae-training, separated by commas; got {unknown!r}" in ran.stderr
    )


@pytest.mark.parametrize(
    ("variable", "right"),
    [
        ("DEFUSE_LEASE", "DEFUSE_LEASE_S"),
        ("DEFUSE_TREADS", "DEFUSE_THREADS"),
        ("DEFUSE_STORE_URI", "DEFUSE_STORE_URL"),
        ("DEFUSE_REDISURL", "DEFUSE_REDIS_URL"),
        ("DEFUSE_MAX_UPLOAD", "DEFUSE_MAX_UPLOAD_BYTES"),
    ],
)
def test_a_misspelt_setting_is_told_with_the_right_name(variable, right, monkeypatch):
    monkeypatch.setenv(variable, "7")
    monkeypatch.delenv("DEFUSE_REDIS_URL", raising=False)
    ran = CliRunner().invoke(app, ["api"])
    assert f"{variable} is no setting and has no effect. Did you mean {right}?" in ran.stderr


@pytest.mark.parametrize(
    "variable",
    # The last three are the client's and those that Kubernetes sets for a service named defuse.
    [
        "DEFUSE_LEASE_S",
        "defuse_lease_s",
        "PATH",
        "DEFUSE_TLS_CA",
        "DEFUSE_SERVICE_HOST",
        "DEFUSE_PORT_50151_TCP",
    ],
)
def test_other_variables_are_left_alone(variable):
    assert misspelt([variable]) == {}
