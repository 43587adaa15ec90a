"""The operator's key, which signs evidence. A worker reads it once, when it starts.

securesystemslib and cryptography are imported where they are used: processes without a key need neither.
"""

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner  # pyright: ignore[reportPrivateImportUsage]

Signer: TypeAlias = "CryptoSigner"

PRIVATE_MODE: Final = 0o600
PUBLIC_SUFFIX: Final = ".pub"


class SigningKeyUnusable(Exception):
    """The key that the settings name can't sign."""


def load(path: Path) -> "Signer":
    """Read a private key: Ed25519, ECDSA or RSA in PEM, without passphrase. Raises `SigningKeyUnusable`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner  # pyright: ignore[reportPrivateImportUsage]

    try:
        return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
    except OSError as error:
        raise _unusable(path, f"it can't be read: {error.strerror}") from error
    except TypeError:
        # Not chained, here and below: nothing of the file's content may get into a log.
        raise _unusable(path, "it has a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(path, "it is not one") from None


def is_open_to_others(path: Path) -> bool:
    """Tell whether others than the file's owner and group may read it."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def make(path: Path) -> str:
    """Make an Ed25519 key pair, `path` (mode 0600) and `path`.pub, both in PEM. Returns its key id.

    Raises `FileExistsError` if one of the files exists, `OSError`.
    """
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import CryptoSigner  # pyright: ignore[reportPrivateImportUsage]

    public = public_path(path)
    if public.exists():
        raise FileExistsError(17, "exists already, and is never overwritten", str(public))
    key = Ed25519PrivateKey.generate()
    _write_new(path, CryptoSigner(key).private_bytes, PRIVATE_MODE)
    public_bytes = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    _write_new(public, public_bytes, 0o644)
    return CryptoSigner(key).public_key.keyid


def public_path(path: Path) -> Path:
    """Return where `make` writes the public key."""
    return path.with_name(path.name + PUBLIC_SUFFIX)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a new file completely or not at all, with its mode from the first byte on."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(part, mode)
        # Unlike a rename, a link does not replace an existing file.
        os.link(part, path)
    except FileExistsError:
        raise FileExistsError(17, "exists already, and is never overwritten", str(path)) from None
    finally:
        Path(part).unlink()


def _unusable(path: Path, why: str) -> SigningKeyUnusable:
    return SigningKeyUnusable(
        f"DEFUSE_SIGNING_KEY: expected {path} to be a private key in PEM without passphrase (Ed25519, ECDSA "
        f"or RSA), but {why}; `defuse-server signing-key FILE` makes one"
    )
