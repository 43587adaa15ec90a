"""The operator's key: made once, never overwritten, refused with a reason."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from defuse_server.cli import app
from defuse_server.evidence import signing_key
from defuse_server.evidence.signing_key import SigningKeyUnusable
from securesystemslib.signer import CryptoSigner, SSlibKey
from typer.testing import CliRunner


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_pair_is_made_for_its_owner_alone_and_signs(tmp_path):
    path = tmp_path / "key.pem"
    key_id = signing_key.make(path)
    assert (mode(path), mode(tmp_path / "key.pem.pub")) == (0o600, 0o644)
    signer = signing_key.load(path)
    assert signer.public_key.keyid == key_id
    public = SSlibKey.from_crypto(load_pem_public_key((tmp_path / "key.pem.pub").read_bytes()))
    assert public.keyid == key_id
    public.verify_signature(signer.sign(b"data"), b"data")
    assert not signing_key.is_open_to_others(path)
    path.chmod(0o644)
    assert signing_key.is_open_to_others(path)
    assert {one.name for one in tmp_path.iterdir()} == {"key.pem", "key.pem.pub"}


def test_the_command_tells_where_the_public_key_is_and_never_overwrites(tmp_path):
    path = tmp_path / "key.pem"
    ran = CliRunner().invoke(app, ["signing-key", str(path)])
    assert ran.exit_code == 0
    assert f"public key: {path}.pub" in ran.output
    assert signing_key.load(path).public_key.keyid in ran.output
    for gone in (None, path, tmp_path / "key.pem.pub"):
        kept = {one: one.read_bytes() for one in tmp_path.iterdir() if one != gone}
        if gone:
            held = gone.read_bytes()
            gone.unlink()
        ran = CliRunner().invoke(app, ["signing-key", str(path)])
        assert ran.exit_code == 64
        assert "never overwritten" in ran.output
        assert {one: one.read_bytes() for one in tmp_path.iterdir()} == kept
        if gone:
            gone.write_bytes(held)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    ran = CliRunner().invoke(app, ["signing-key", str(tmp_path / "none" / "key.pem")])
    assert ran.exit_code == 64
    assert "No such file" in ran.output


def pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def ed25519():
    return load_pem_private_key(CryptoSigner.generate_ed25519().private_bytes, None)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_kinds_that_sign_are_taken(tmp_path, kind):
    path = tmp_path / "key.pem"
    path.write_bytes(getattr(CryptoSigner, f"generate_{kind}")().private_bytes)
    assert signing_key.load(path).public_key.keytype == kind


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: None, "No such file"),
        (lambda: b"", "it is not one"),
        (lambda: b"-----BEGIN PRIVATE KEY-----\nsecret-words\n-----END PRIVATE KEY-----\n", "it is not one"),
        (lambda: pem(ed25519(), BestAvailableEncryption(b"word")), "passphrase"),
        (lambda: pem(dsa.generate_private_key(2048)), "it is not one"),
        (lambda: pem(x25519.X25519PrivateKey.generate()), "it is not one"),
    ],
    ids=["missing", "empty", "broken", "encrypted", "dsa", "x25519"],
)
def test_what_can_not_sign_is_refused_with_the_reason_and_without_its_content(tmp_path, content, why):
    path = tmp_path / "key.pem"
    if (made := content()) is not None:
        path.write_bytes(made)
    with pytest.raises(SigningKeyUnusable) as refused:
        signing_key.load(path)
    assert why in str(refused.value)
    assert "defuse-server signing-key" in str(refused.value)
    assert "secret-words" not in str(refused.value)
