"""The command `defuse-server` itself; `api/test_processes.py` has what its commands run."""

import asyncio
import datetime
import re
import uuid
from importlib.metadata import version

import pytest
import typer
from defuse_server.cli import EXIT_UNAVAILABLE, EXIT_USAGE, app
from defuse_server.host.settings import misspelt
from defuse_server.host.valkey import EmbeddedValkey
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


def run_token(*arguments: str):
    return CliRunner().invoke(app, ["token", *arguments])


def test_tokens_are_made_listed_and_revoked(redis_url, monkeypatch):
    monkeypatch.setenv("DEFUSE_REDIS_URL", redis_url)
    name = f"ann {uuid.uuid4()}"
    made = run_token("create", name, "--role", "annotator", "--role", "viewer", "--expires", "30d")
    assert made.exit_code == 0, made.stderr
    assert re.fullmatch(r"defuse_[\w-]{43}\n", made.stdout)
    again = run_token("create", name, "--role", "viewer")
    assert again.exit_code == EXIT_USAGE
    assert "revoke it first" in again.stderr

    def row() -> list[str]:
        listed = run_token("list").stdout
        assert made.stdout.strip() not in listed
        (line,) = [line for line in listed.splitlines() if line.startswith(name)]
        return re.split(r"  +", line)

    _, roles, state, created, expires, used = row()
    assert (roles, state, used) == ("annotator,viewer", "good", "-")
    created, expires = (datetime.datetime.fromisoformat(time) for time in (created, expires))
    assert expires - created == datetime.timedelta(days=30)
    assert run_token("revoke", name).exit_code == 0
    assert row()[2] == "revoked"
    assert run_token("revoke", name).exit_code == EXIT_USAGE


@pytest.mark.parametrize("expires", ["30", "d", "0d", "-1d", "1y", "1.5d"])
def test_a_lifetime_has_a_number_and_a_unit(expires, redis_url, monkeypatch):
    monkeypatch.setenv("DEFUSE_REDIS_URL", redis_url)
    ran = run_token("create", "ann", "--role", "viewer", "--expires", expires)
    assert ran.exit_code == EXIT_USAGE
    assert f"30d or 52w, got {expires!r}" in ran.stderr


def test_without_a_redis_the_tokens_are_those_of_the_server_on_the_state_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DEFUSE_REDIS_URL", raising=False)
    monkeypatch.setenv("DEFUSE_STATE_DIR", str(tmp_path))
    nothing = run_token("list")
    assert nothing.exit_code == EXIT_USAGE
    assert f"runs on {tmp_path}" in nothing.stderr
    valkey = EmbeddedValkey(tmp_path / "valkey")
    asyncio.run(valkey.start())
    assert run_token("create", "ann", "--role", "viewer").exit_code == 0
    assert "ann" in run_token("list").stdout
    asyncio.run(valkey.stop())
    stopped = run_token("list")
    assert stopped.exit_code == EXIT_UNAVAILABLE
