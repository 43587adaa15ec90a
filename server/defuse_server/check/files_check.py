"""Tries the artifact store, the state folder and the signing key."""

import shutil
import tempfile
from typing import Final

from defuse_server.check.finding import Finding, ok, warning, wrong
from defuse_server.evidence import signing_key
from defuse_server.evidence.signing_key import SigningKeyUnusable
from defuse_server.host.cancellation import within
from defuse_server.host.settings import GIBIBYTE, Settings
from defuse_server.store.artifacts import ArtifactStore

_PATIENCE_S: Final = 30.0
_FREE_BYTES: Final = 5 * GIBIBYTE


async def check_store(settings: Settings) -> list[Finding]:
    """Write, read and remove a small file as the service does."""
    url = settings.store_url
    try:
        store = ArtifactStore(url)
    except (ValueError, ImportError) as error:
        advice = "Use a folder or a URL that fsspec knows, and install the package that it names."
        return [wrong("store", f"{url}: {error}", advice)]
    try:
        await within(store.try_out(), _PATIENCE_S)
        free_bytes = await store.free_bytes()
    except Exception as error:  # the libraries of clouds have their own errors
        told = str(error) or f"no answer in {_PATIENCE_S:g} s"
        return [
            wrong("store", f"{url}: {told}", "Let this user write there, or set another DEFUSE_STORE_URL.")
        ]
    found = [ok("store", f"{url} can be written, read and cleared")]
    if free_bytes is not None and free_bytes < _FREE_BYTES:
        found.append(_almost_full("store", free_bytes))
    return found


def check_state_folder(settings: Settings) -> list[Finding]:
    """Try the folder in which jobs run."""
    folder = settings.state_dir
    nearest = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        told = f"{folder}: {error.strerror} ({nearest})"
        return [wrong("state folder", told, "Let this user write there, or set another DEFUSE_STATE_DIR.")]
    found = [ok("state folder", f"{folder} can be written")]
    free_bytes = shutil.disk_usage(nearest).free
    if free_bytes < _FREE_BYTES:
        found.append(_almost_full("state folder", free_bytes))
    return found


def check_signing_key(settings: Settings, *, made: bool) -> list[Finding]:
    """Read the key with which workers sign evidence. If it is `made`, the process makes one by itself."""
    path = settings.signing_key
    if path is None and made:
        path = settings.state_dir / "signing-key.pem"
        if not path.exists():
            return [ok("signing key", f"`up` makes {path}")]
    if path is None:
        advice = "Make one with `defuse-server signing-key FILE`, and set DEFUSE_SIGNING_KEY to it."
        return [warning("signing key", "DEFUSE_SIGNING_KEY is not set: evidence is not signed", advice)]
    try:
        signer = signing_key.load(path)
    except SigningKeyUnusable as error:
        return [wrong("signing key", str(error), "Name a key that this user can read.")]
    if signing_key.is_open_to_others(path):
        return [warning("signing key", f"{path} can be read by other users", f"chmod 600 {path}")]
    return [ok("signing key", f"{path} has the id {signer.public_key.keyid[:12]}")]


def _almost_full(subject: str, free_bytes: int) -> Finding:
    return warning(
        subject, f"its disk has only {free_bytes / GIBIBYTE:.1f} GiB left", "Make room, or move it."
    )
