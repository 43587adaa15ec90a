"""The command `defuse-server`."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from pydantic import ValidationError

from defuse_server.errors import DefuseError
from defuse_server.evidence import signing_key as signing_keys
from defuse_server.evidence.signing_key import SigningKeyUnusable
from defuse_server.host import log
from defuse_server.host.listen import UnsafeListen
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.host.settings import Settings

EXIT_USAGE: Final = 64
EXIT_UNAVAILABLE: Final = 69

app = typer.Typer(
    name="defuse-server",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "The Defuse service: audits of image classifiers over gRPC.\n\n"
        "`up` is all of it in one command, for one machine. In production run `api`, `web` and `worker` with "
        "the same DEFUSE_REDIS_URL and DEFUSE_STORE_URL, as many of each as you like.\n\n"
        "Every setting is an environment variable DEFUSE_*; options override it. The token that clients "
        "must show is DEFUSE_TOKEN only: command lines can be read by every user of the machine."
    ),
)

Address = Annotated[
    str | None,
    typer.Option(
        help="Where the API listens, host:port; port 0 takes a free one. Beyond loopback it needs TLS and "
        "a token. [DEFUSE_ADDRESS; 127.0.0.1:50151]"
    ),
]
WebAddress = Annotated[
    str | None,
    typer.Option(
        help="Where the pages are served, host:port; port 0 takes a free one. Beyond loopback they need TLS "
        "and a token. [DEFUSE_WEB_ADDRESS; 127.0.0.1:50180]"
    ),
]
TlsCert = Annotated[Path | None, typer.Option(help="Certificate chain, PEM. [DEFUSE_TLS_CERT]")]
TlsKey = Annotated[Path | None, typer.Option(help="Its private key, PEM. [DEFUSE_TLS_KEY]")]
RedisUrl = Annotated[
    str | None, typer.Option(help="Redis >= 7 or Valkey, redis://... [DEFUSE_REDIS_URL]", show_default=False)
]
StoreUrl = Annotated[
    str | None,
    typer.Option(help="Artifact store: a folder, s3://..., gs://... [DEFUSE_STORE_URL; out/defuse/store]"),
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the embedded Valkey and of jobs' work folders. [DEFUSE_STATE_DIR; out/defuse]"
    ),
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        help="Private key, PEM, that signs evidence. [DEFUSE_SIGNING_KEY; `up` makes one in its state "
        "folder]",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Where jobs that don't say run: auto, cpu, cuda:N. [DEFUSE_DEVICE; auto]"),
]


@app.command()
def up(
    address: Address = None,
    web_address: WebAddress = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    redis_url: RedisUrl = None,
    store_url: StoreUrl = None,
    state_dir: StateDir = None,
    device: Device = None,
    signing_key: SigningKey = None,
) -> None:
    """Run everything on this machine: API, pages, one worker, and without a Redis URL a Valkey of its own.

    Prints `ready: ADDRESS` and `web: URL` once it serves. SIGTERM and Ctrl-C drain it. What was
    acknowledged survives a crash: start it again with the same folders.
    """
    settings = _settings(
        address=address,
        web_address=web_address,
        tls_cert=tls_cert,
        tls_key=tls_key,
        redis_url=redis_url,
        store_url=store_url,
        state_dir=state_dir,
        device=device,
        signing_key=signing_key,
    )
    from defuse_server.serve import serve_all

    _run(serve_all(settings))


@app.command()
def api(
    address: Address = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    redis_url: RedisUrl = None,
    store_url: StoreUrl = None,
) -> None:
    """Run the API alone, on a Redis and a store that workers share.

    Prints `ready: ADDRESS` once it serves. SIGTERM drains it: the health service says NOT_SERVING, open
    streams end with UNAVAILABLE (clients resume by cursor), other calls may finish.
    """
    settings = _settings(
        address=address, tls_cert=tls_cert, tls_key=tls_key, redis_url=redis_url, store_url=store_url
    )
    _require_redis(settings)
    from defuse_server.serve import serve_api

    _run(serve_api(settings))


@app.command()
def web(
    web_address: WebAddress = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    redis_url: RedisUrl = None,
    store_url: StoreUrl = None,
) -> None:
    """Run the pages alone, for annotators (/label) and for those who run audits (/audits).

    Prints `web: URL` once it serves. Pages that are open while it restarts go on where they were.
    """
    settings = _settings(
        web_address=web_address, tls_cert=tls_cert, tls_key=tls_key, redis_url=redis_url, store_url=store_url
    )
    _require_redis(settings)
    from defuse_server.serve import serve_web

    _run(serve_web(settings))


@app.command()
def worker(
    redis_url: RedisUrl = None,
    store_url: StoreUrl = None,
    state_dir: StateDir = None,
    device: Device = None,
    signing_key: SigningKey = None,
) -> None:
    """Run a worker alone: it takes one job at a time from the Redis that it shares with the API.

    SIGTERM hands a job under way on to another worker, which resumes it.
    """
    settings = _settings(
        redis_url=redis_url,
        store_url=store_url,
        state_dir=state_dir,
        device=device,
        signing_key=signing_key,
    )
    _require_redis(settings)
    # Imported here, as it brings numpy, which the API does without.
    from defuse_server.worker.worker import run_worker

    _run(run_worker(settings))


@app.command("mlflow-webhook")
def mlflow_webhook(
    mlflow_webhook_address: Annotated[
        str | None,
        typer.Option(
            help="Where MLflow's webhooks are received, host:port; port 0 takes a free one. Beyond loopback "
            "it needs TLS. [DEFUSE_MLFLOW_WEBHOOK_ADDRESS; 127.0.0.1:50190]"
        ),
    ] = None,
    mlflow_tracking_uri: Annotated[
        str | None, typer.Option(help="The MLflow server. [DEFUSE_MLFLOW_TRACKING_URI]", show_default=False)
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="The API, host:port. [DEFUSE_ADDRESS; 127.0.0.1:50151]")
    ] = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    redis_url: RedisUrl = None,
    state_dir: StateDir = None,
) -> None:
    """Gate each new version of MLflow's models that have the tag defuse.alias, as its webhooks tell of them.

    A client of the service (DEFUSE_TOKEN, DEFUSE_TLS_CA). MLflow signs with DEFUSE_MLFLOW_WEBHOOK_SECRET.
    Prints `webhook: URL` once it serves. Without a Redis URL a Valkey of its own keeps what it accepted.
    """
    settings = _settings(
        mlflow_webhook_address=mlflow_webhook_address,
        mlflow_tracking_uri=mlflow_tracking_uri,
        address=address,
        tls_cert=tls_cert,
        tls_key=tls_key,
        redis_url=redis_url,
        state_dir=state_dir,
    )
    if settings.mlflow_webhook_secret is None or settings.mlflow_tracking_uri is None:
        _fail(
            EXIT_USAGE,
            "expected DEFUSE_MLFLOW_WEBHOOK_SECRET, and --mlflow-tracking-uri or DEFUSE_MLFLOW_TRACKING_URI",
        )
    # Imported here: it brings the client and MLflow's, which no other process needs.
    from defuse.model_registries.errors import RegistryError

    from defuse_server.mlflow_webhook.process import serve_webhook

    try:
        _run(serve_webhook(settings))
    except RegistryError as error:
        _fail(EXIT_USAGE, str(error))


@app.command("signing-key")
def make_signing_key(
    file: Annotated[
        Path, typer.Argument(dir_okay=False, help="The private key; the public one is FILE.pub beside it.")
    ],
) -> None:
    """Make an Ed25519 key pair for DEFUSE_SIGNING_KEY; what is there is never overwritten.

    FILE (mode 0600) is for workers; FILE.pub for whoever verifies evidence: `defuse verify-evidence --key`.
    """
    try:
        key_id = signing_keys.make(file)
    except OSError as error:
        _fail(EXIT_USAGE, f"{error.filename or file}: {error.strerror or error}")
    typer.echo(f"private key: {file}\npublic key: {signing_keys.public_path(file)}\nkey id: {key_id}")


def main() -> None:
    """Run the command line."""
    app()


def _settings(**options: object) -> Settings:
    try:
        settings = Settings(**{key: value for key, value in options.items() if value is not None})  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        _fail(EXIT_USAGE, "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
    log.configure(settings.log_level)
    return settings


def _require_redis(settings: Settings) -> None:
    if settings.redis_url is None:
        _fail(
            EXIT_USAGE,
            "expected --redis-url or DEFUSE_REDIS_URL, got neither; `up` brings its own Redis",
        )


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
