"""The operator's settings, from environment variables `DEFUSE_*` or the command line."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

GIBIBYTE = 1024**3
JOB_KINDS: Final = ("inspection", "audit", "region-split", "correction", "evaluation", "vae-training")
_PREFIX: Final = "DEFUSE_"
_OTHERS: Final = (
    "DEFUSE_TLS_CA",
    "DEFUSE_TLS_CLIENT_CERT",
    "DEFUSE_TLS_CLIENT_KEY",
    "DEFUSE_DATA_DIR",
)
"""Variables that the client and the benchmarks read."""
_LIKENESS: Final = 0.75
"""From which on a name is taken for a misspelt one. DEFUSE_SERVICE_HOST, which Kubernetes sets, is below."""


class Settings(BaseSettings):
    """The service's settings. The field `lease_s`, for example, is read from `DEFUSE_LEASE_S`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    address: str = "127.0.0.1:50151"
    """Address of the API, host:port. Port 0 takes a free port. Beyond loopback it needs TLS and a token."""
    web_address: str = "127.0.0.1:50180"
    """Address of the pages, host:port. Port 0 takes a free port. Beyond loopback it needs TLS and a token."""
    metrics_address: str = "127.0.0.1:50160"
    """Address of /metrics, /healthz and /readyz of API, pages and workers, host:port; empty turns them off.
    If the port is taken, the next free one of 20 is used. Port 0 takes a free port. Beyond loopback it needs
    TLS and a token."""
    web_lease_s: float = Field(default=120.0, ge=1, le=3600)
    """A label task goes to another annotator if its page is silent for this long, in seconds."""
    mlflow_webhook_address: str = "127.0.0.1:50190"
    """Address that receives MLflow's webhooks, host:port. Port 0 takes a free port. Beyond loopback it needs
    TLS."""
    mlflow_webhook_secret: SecretStr | None = None
    """The secret with which MLflow signs its webhooks."""
    mlflow_tracking_uri: str | None = None
    """URI of the MLflow server whose model versions are gated."""
    token: SecretStr | None = None
    """Bearer token of an administrator. With one, all callers must show it, or a token of their own."""
    auth: Literal["auto", "required", "off"] = "auto"
    """Whether callers must show a token. auto: if DEFUSE_TOKEN is set, or a token was ever made. off: never;
    only on loopback."""
    tls_client_ca: Path | None = None
    """File of the CAs, in PEM, whose certificates the API's clients must show."""
    tls_client_roles: str = ""
    """Which name in a client's certificate gives which role: `spiffe://acme/ci=auditor,ann=annotator`."""
    oidc_issuer: str | None = None
    """Issuer of JWTs that admit callers, as their claim `iss` has it. Needs the other oidc settings."""
    oidc_audience: str | None = None
    """What the claim `aud` of such a JWT must contain."""
    oidc_jwks: str | None = None
    """The issuer's public keys (JWKS): an https:// URL, http:// on loopback, or a file."""
    oidc_roles: str = ""
    """Which value of the roles' claim gives which role: `ml-audit=auditor,ml-ops=admin`."""
    oidc_roles_claim: str = "roles"
    """Claim that holds the roles, a text or a list; `realm_access.roles` is a claim within a claim."""
    oidc_subject_claim: str = "sub"
    """Claim that names the caller."""
    caller_requests_per_s: float = Field(default=0.0, ge=0)
    """Requests a second that one caller may make, or what it saved of the last second; 0: no limit."""
    caller_streams: int = Field(default=0, ge=0)
    """Watches and streams that one caller may have open; 0: no limit."""
    caller_audits: int = Field(default=0, ge=0)
    """Audits that have not ended that one caller may have; 0: no limit."""
    caller_upload_bytes_per_day: int = Field(default=0, ge=0)
    """Bytes that one caller may upload in a day (UTC); 0: no limit."""
    tls_cert: Path | None = None
    """File of the certificate chain, in PEM."""
    tls_key: Path | None = None
    """File of the certificate's private key, in PEM."""
    redis_url: str | None = None
    """URL of a Redis >= 7 or Valkey, redis://... Without one, `up` and `mlflow-webhook` start a Valkey."""
    store_url: str = "out/defuse/store"
    """Artifact store: a folder, or a URL that fsspec knows (s3://..., gs://...)."""
    state_dir: Path = Path("out/defuse")
    """Folder for the embedded Valkey and for running jobs."""
    signing_key: Path | None = None
    """File of the private key, in PEM, with which workers sign evidence. Without one, `up` makes one."""
    device: str = "auto"
    """Device of jobs that name none: auto, cpu or cuda:N."""
    threads: int = Field(default=0, ge=0)
    """Threads of one job; 0 uses all cores."""
    max_upload_bytes: int = Field(default=8 * GIBIBYTE, ge=1)
    """Largest upload that the server takes, in bytes."""
    job_memory_bytes: int = Field(default=8 * GIBIBYTE, ge=GIBIBYTE)
    """Memory that one job may use, in bytes."""
    job_cpu_s: int = Field(default=24 * 3600, ge=1)
    """CPU time that one job may use over all its threads, in seconds."""
    batch_s: int = Field(default=600, ge=1)
    """Time in which a model of a job must answer one batch, in seconds."""
    inspection_s: int = Field(default=60, ge=1)
    """Time that the inspection of a model may take, in seconds. One that reads a dataset has ten times this,
    and a model's file has this once more for each GiB."""
    inspection_memory_bytes: int = Field(default=2 * GIBIBYTE, ge=GIBIBYTE // 2)
    """Memory that the inspection of a model may use, in bytes, beside twelve times the size of its file.
    One that reads a dataset may use what a job may."""
    kinds: str = ",".join(JOB_KINDS)
    """Kinds of jobs that a worker takes, separated by commas."""
    lease_s: float = Field(default=10.0, gt=0)
    """A job goes to another worker if its worker is silent for this long, in seconds."""
    upload_ttl_s: int = Field(default=7 * 24 * 3600, ge=60)
    """An upload that receives nothing for this long is removed, in seconds."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Level of the least severe log lines that are written."""

    @field_validator("kinds")
    @classmethod
    def _known_kinds(cls, kinds: str) -> str:
        unknown = [kind for kind in kinds.split(",") if kind.strip() not in JOB_KINDS]
        if unknown:
            known = ", ".join(JOB_KINDS)
            raise ValueError(f"expected some of {known}, separated by commas; got {unknown[0]!r}")
        return kinds

    @model_validator(mode="after")
    def _whole_oidc(self) -> Self:
        given = {
            "oidc_issuer": self.oidc_issuer,
            "oidc_audience": self.oidc_audience,
            "oidc_jwks": self.oidc_jwks,
            "oidc_roles": self.oidc_roles,
        }
        missing = [field for field, value in given.items() if not value]
        if missing and len(missing) < len(given):
            raise ValueError(f"JWTs need all of {', '.join(given)}; missing: {', '.join(missing)}")
        return self

    @property
    def requires_tokens(self) -> bool:
        """Whether the settings alone make callers show a token. If not, the first token that is made does."""
        known = (self.token, self.oidc_issuer, self.tls_client_ca)
        return self.auth == "required" or any(one is not None for one in known)

    @property
    def job_kinds(self) -> frozenset[str]:
        """The kinds of jobs that a worker takes."""
        return frozenset(kind.strip() for kind in self.kinds.split(","))


def misspelt(variables: Iterable[str]) -> dict[str, str]:
    """Return the variables that are nearly the name of a setting, each with the nearest right name.

    The settings are taken from variables in any case, as pydantic does.
    """
    near = {field.upper(): f"{_PREFIX}{field.upper()}" for field in Settings.model_fields}
    found: dict[str, str] = {}
    for variable in variables:
        name = variable.upper()
        if not name.startswith(_PREFIX) or name in _OTHERS or name in near.values():
            continue
        match = difflib.get_close_matches(name.removeprefix(_PREFIX), near, n=1, cutoff=_LIKENESS)
        if match:
            found[variable] = near[match[0]]
    return found
