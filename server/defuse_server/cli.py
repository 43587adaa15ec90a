"""The command `defuse-server`."""

import asyncio
import datetime
import functools
import inspect
import os
import re
from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar, cast

import typer
from pydantic import ValidationError

from defuse_server.access.roles import Role
from defuse_server.access.tokens import Tokens
from defuse_server.check.finding import Level, Process
from defuse_server.errors import DefuseError, InvalidRequest, NotFound
from defuse_server.evidence import signing_key as signing_keys
from defuse_server.evidence.signing_key import SigningKeyUnusable
from defuse_server.host import log
from defuse_server.host.listen import UnsafeListen
from defuse_server.host.redis_client import UNREACHABLE, connect
from defuse_server.host.settings import Settings, misspelt
from defuse_server.host.valkey import running_url

EXIT_USAGE: Final = 64
EXIT_UNAVAILABLE: Final = 69
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}

T = TypeVar("T")

app = typer.Typer(
    name="defuse-server",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=(
        "The Defuse service: audits of image classifiers over gRPC.\n\n"
        "On one machine, run `up`: it starts everything. In production, run `api`, `web` and `worker` with "
        "the same DEFUSE_REDIS_URL and DEFUSE_STORE_URL, as many of each as you like.\n\n"
        "Every setting is an environment variable DEFUSE_*, and options override it. Set an administrator's "
        "token in DEFUSE_TOKEN, and make others with `token create`. It has no option, because every user of "
        "the machine can read command lines."
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"defuse-server {version('defuse-audit')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that come before a command; the text above stays the help."""


def _takes(
    *fields: str, needs_redis: bool = False, argument: inspect.Parameter | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each of these settings. It gets all settings, and its argument."""
    own = [argument] if argument else []

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**options: object) -> None:
            values = [options.pop(one.name) for one in own]
            command(_settings(options, needs_redis=needs_redis), *values)

        cast("Any", run).__signature__ = inspect.Signature([*own, *(_option(field) for field in fields)])
        return run

    return decorate


def _option(field: str) -> inspect.Parameter:
    """Return the option of a setting, whose help is the setting's description."""
    setting = Settings.model_fields[field]
    default = "none" if setting.default is None else setting.default
    option = typer.Option(
        help=f"{setting.description} [DEFUSE_{field.upper()}; {default}]", show_default=False
    )
    annotation = cast("Any", Annotated)[cast("Any", setting.annotation) | None, option]
    return inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


@app.command()
@_takes(
    *("address", "web_address", "tls_cert", "tls_key"),
    *("redis_url", "store_url", "state_dir", "device", "signing_key", "metrics_address"),
)
def up(settings: Settings) -> None:
    """Run everything on this machine: the API, the pages, one worker, and a Valkey if you name no Redis.

    It prints `ready: ADDRESS` and `web: URL` once it serves. SIGTERM and Ctrl-C drain it. Everything that
    it acknowledged survives a crash: start it again with the same folders.
    """
    from defuse_server.serve import serve_all

    _run(serve_all(settings))


@app.command()
@_takes("address", "tls_cert", "tls_key", "redis_url", "store_url", "metrics_address", needs_redis=True)
def api(settings: Settings) -> None:
    """Run the API alone, on a Redis and a store that it shares with workers.

    It prints `ready: ADDRESS` once it serves. SIGTERM drains it: the health service answers NOT_SERVING,
    open streams end with UNAVAILABLE (clients resume by cursor), and other calls finish.
    """
    from defuse_server.serve import serve_api

    _run(serve_api(settings))


@app.command()
@_takes("web_address", "tls_cert", "tls_key", "redis_url", "store_url", "metrics_address", needs_redis=True)
def web(settings: Settings) -> None:
    """Run the pages alone: /label for annotators, /audits for people who run audits.

    It prints `web: URL` once it serves. Pages that are open during a restart continue afterwards.
    """
    from defuse_server.serve import serve_web

    _run(serve_web(settings))


@app.command()
@_takes(
    *("redis_url", "store_url", "state_dir", "device", "signing_key", "kinds", "metrics_address"),
    needs_redis=True,
)
def worker(settings: Settings) -> None:
    """Run a worker alone. It takes one job at a time from the Redis that it shares with the API.

    It inspects registered resources beside it. With --kinds it takes these jobs only; some other worker must
    take the rest. SIGTERM hands a running job on to another worker, which resumes it.
    """
    # Imported here: it loads numpy, which the API does not need.
    from defuse_server.worker.worker import run_worker

    _run(run_worker(settings))


@app.command("mlflow-webhook")
@_takes(
    *("mlflow_webhook_address", "mlflow_tracking_uri", "address", "tls_cert", "tls_key"),
    *("redis_url", "state_dir"),
)
def mlflow_webhook(settings: Settings) -> None:
    """Gate each new version of the MLflow models that have the tag defuse.alias.

    MLflow's webhooks announce the versions, signed with DEFUSE_MLFLOW_WEBHOOK_SECRET. The process is a
    client of the service (DEFUSE_TOKEN, DEFUSE_TLS_CA). It prints `webhook: URL` once it serves. If you
    name no Redis, a Valkey of its own keeps the accepted events.
    """
    if settings.mlflow_webhook_secret is None or settings.mlflow_tracking_uri is None:
        _fail(
            EXIT_USAGE,
            "expected DEFUSE_MLFLOW_WEBHOOK_SECRET, and --mlflow-tracking-uri or DEFUSE_MLFLOW_TRACKING_URI",
        )
    # Imported here: it loads the client and MLflow's client, which no other process needs.
    from defuse.model_registries.errors import RegistryError

    from defuse_server.mlflow_webhook.process import serve_webhook

    try:
        _run(serve_webhook(settings))
    except RegistryError as error:
        _fail(EXIT_USAGE, str(error))


_PROCESS: Final = inspect.Parameter(
    "process",
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    default=Process.UP,
    annotation=Annotated[
        Process, typer.Argument(help="The process whose needs are checked; up needs everything.")
    ],
)


@app.command()
@_takes(
    *("address", "web_address", "metrics_address", "tls_cert", "tls_key"),
    *("redis_url", "store_url", "state_dir", "device", "signing_key"),
    argument=_PROCESS,
)
def check(settings: Settings, process: Process) -> None:
    """Try everything that a process needs, and say what is wrong and what to do.

    It tries Redis, the store, the addresses, the TLS files, the signing key, onnxruntime and the device, on
    which it runs a tiny job. It can run beside the service. It exits with 1 if anything is wrong, and with 0
    otherwise, even after warnings.
    """
    # Imported here: no other command needs it.
    from defuse_server.check.run import run_checks

    levels: set[Level] = set()

    async def show() -> None:
        async for finding in run_checks(settings, process, misspelt(os.environ)):
            levels.add(finding.level)
            typer.echo(f"{finding.level:<8} {finding.subject}: {finding.told}")
            if finding.advice:
                typer.echo(f"{'':<8} {finding.advice}")

    asyncio.run(show())
    raise typer.Exit(1 if Level.WRONG in levels else 0)


@app.command("signing-key")
def make_signing_key(
    file: Annotated[
        Path, typer.Argument(dir_okay=False, help="The private key. The public key becomes FILE.pub.")
    ],
) -> None:
    """Make an Ed25519 key pair for DEFUSE_SIGNING_KEY. Existing files are never overwritten.

    Workers need FILE (mode 0600). Give FILE.pub to people who verify evidence with
    `defuse verify-evidence --key`.
    """
    try:
        key_id = signing_keys.make(file)
    except OSError as error:
        _fail(EXIT_USAGE, f"{error.filename or file}: {error.strerror or error}")
    typer.echo(f"private key: {file}\npublic key: {signing_keys.public_path(file)}\nkey id: {key_id}")


tokens_app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Make, list and revoke callers' tokens. They are kept in the Redis of DEFUSE_REDIS_URL, or of the "
        "`defuse-server up` that runs on DEFUSE_STATE_DIR. Once one was made, all callers must show a token."
    ),
)
app.add_typer(tokens_app, name="token")
_TokenName = Annotated[
    str, typer.Argument(help="Whose token it is. An annotator's answers are kept under this name.")
]


@tokens_app.command("create")
def create_token(
    name: _TokenName,
    role: Annotated[list[Role], typer.Option(help="What it may do; can be given several times.")],
    expires: Annotated[
        str, typer.Option(help="How long it is good: 45s, 90m, 12h, 30d or 52w. By default for ever.")
    ] = "",
) -> None:
    """Make a token and print it, once. The service keeps only its SHA-256."""
    lifetime_s = _lifetime_s(expires) if expires else None
    typer.echo(_with_tokens(lambda tokens: tokens.create(name, role, lifetime_s)))


@tokens_app.command("list")
def list_tokens() -> None:
    """List all tokens: name, roles, state, and when each was made, expires, and was last used (UTC)."""
    rows = [["NAME", "ROLES", "STATE", "MADE", "EXPIRES", "LAST USED"]]
    for token in _with_tokens(lambda tokens: tokens.list()):
        state = "revoked" if token.revoked_ms else "expired" if token.is_expired else "good"
        times = (_minute(ms) for ms in (token.created_ms, token.expires_ms, token.used_ms))
        rows.append([token.name, ",".join(sorted(token.roles)), state, *times])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@tokens_app.command("revoke")
def revoke_token(name: _TokenName) -> None:
    """End a token at once. Sessions of the pages that began with it end, too."""
    _with_tokens(lambda tokens: tokens.revoke(name))


def _with_tokens(act: Callable[[Tokens], Coroutine[Any, Any, T]]) -> T:
    """Return what an action on the tokens returns."""
    settings = _settings({}, needs_redis=False)
    url = settings.redis_url or running_url(settings.state_dir / "valkey")
    if url is None:
        _fail(
            EXIT_USAGE,
            f"expected DEFUSE_REDIS_URL, or a `defuse-server up` that runs on {settings.state_dir} "
            "(DEFUSE_STATE_DIR); found neither",
        )

    async def connected() -> T:
        redis = connect(url)
        try:
            return await act(Tokens(redis))
        finally:
            await redis.aclose()

    try:
        return asyncio.run(connected())
    except (InvalidRequest, NotFound) as error:
        _fail(EXIT_USAGE, error.message)
    except UNREACHABLE as error:
        _fail(EXIT_UNAVAILABLE, f"can't reach Redis: {error}")


def _lifetime_s(text: str) -> float:
    found = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", text)
    if not found:
        _fail(EXIT_USAGE, f"expected --expires as 45s, 90m, 12h, 30d or 52w, got {text!r}")
    return int(found[1]) * _UNITS_S[found[2]]


def _minute(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M") if ms else "-"


def main() -> None:
    """Run the command line."""
    app()


def _settings(options: Mapping[str, Any], *, needs_redis: bool) -> Settings:
    """Return the settings, in which the options of a command override the environment."""
    try:
        settings = Settings(**{key: value for key, value in options.items() if value is not None})
    except ValidationError as error:
        _fail(EXIT_USAGE, "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
    for variable, right in misspelt(os.environ).items():
        typer.echo(
            f"defuse-server: {variable} is no setting and has no effect. Did you mean {right}?", err=True
        )
    log.configure(settings.log_level)
    if needs_redis and settings.redis_url is None:
        _fail(
            EXIT_USAGE,
            "expected --redis-url or DEFUSE_REDIS_URL, got neither (`up` starts a Redis of its own)",
        )
    return settings


def _run(process: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(process)
    except (UnsafeListen, SigningKeyUnusable) as error:
        _fail(EXIT_USAGE, str(error))
    except (DefuseError, OSError, *UNREACHABLE) as error:
        _fail(EXIT_UNAVAILABLE, str(error))


def _fail(status: int, message: str) -> NoReturn:
    typer.echo(f"defuse-server: {message}", err=True)
    raise typer.Exit(status)
