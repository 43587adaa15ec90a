"""What an operator can set, by environment variables `DEFUSE_*` or by the command line."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

GIBIBYTE = 1024**3


class Settings(BaseSettings):
    """The service's settings; a field `lease_s` is read from `DEFUSE_LEASE_S`."""

    model_config = SettingsConfigDict(env_prefix="DEFUSE_", frozen=True, extra="ignore")

    address: str = "127.0.0.1:50151"
    """Where the API listens, host:port. Beyond loopback it needs TLS and a token."""
    web_address: str = "127.0.0.1:50180"
    """Where the pages are served, host:port. Beyond loopback they need TLS and a token."""
    web_lease_s: float = Field(default=120.0, ge=1, le=3600)
    """A task whose label page has given no sign of life for so long goes to another annotator."""
    mlflow_webhook_address: str = "127.0.0.1:50190"
    """Where MLflow's webhooks are received, host:port. Beyond loopback it needs TLS."""
    mlflow_webhook_secret: SecretStr | None = None
    """What MLflow signs its webhooks with."""
    mlflow_tracking_uri: str | None = None
    """The MLflow server whose versions are gated."""
    token: SecretStr | None = None
    """What clients show as bearer token; none: no authentication."""
    tls_cert: Path | None = None
    """Certificate chain, PEM."""
    tls_key: Path | None = None
    """Private key of the certificate, PEM."""
    redis_url: str | None = None
    """Redis >= 7 or Valkey; none: `defuse-server up` starts its own Valkey in `state_dir`."""
    store_url: str = "out/defuse/store"
    """Artifact store: a folder, or a URL that fsspec knows (s3://, gs://)."""
    state_dir: Path = Path("out/defuse")
    """Folder of the embedded Valkey and of the jobs' work folders."""
    signing_key: Path | None = None
    """Private key (PEM) that signs evidence; for workers alone. Without one `up` makes one in `state_dir`."""
    device: str = "auto"
    """Where jobs that don't say run: `auto`, `cpu` or `cuda:N`."""
    threads: int = Field(default=0, ge=0)
    """Threads of one job; 0: all cores."""
    max_upload_bytes: int = Field(default=8 * GIBIBYTE, ge=1)
    """Largest upload that is taken."""
    job_memory_bytes: int = Field(default=8 * GIBIBYTE, ge=GIBIBYTE)
    """Memory that one job may use."""
    job_cpu_s: int = Field(default=24 * 3600, ge=1)
    """CPU time that one job may use, over all its threads."""
    lease_s: float = Field(default=10.0, gt=0)
    """A job whose worker has given no sign of life for so long goes to another."""
    upload_ttl_s: int = Field(default=7 * 24 * 3600, ge=60)
    """Parts of an upload that got nothing for so long are removed."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe log lines that are written."""
