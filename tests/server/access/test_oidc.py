"""JWTs of an issuer, whose keys come from a real HTTP server or a file."""

import base64
import hmac
import json
import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from defuse_server.access import oidc
from defuse_server.access.access import Access
from defuse_server.access.caller import Credential
from defuse_server.access.roles import Role
from defuse_server.errors import BackendUnavailable, PermissionDenied, Unauthenticated
from defuse_server.host.listen import UnsafeListen
from defuse_server.host.settings import Settings
from defuse_server.records.sealed import Sealer
from defuse_server.web.sessions import Sessions

ISSUER, AUDIENCE = "https://issuer.example", "defuse"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_AFTER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """Serves a JWKS, and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys = {"rsa": RSA.public_key(), "ec": EC.public_key()}
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = json.dumps({"keys": issuer.jwks()}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def jwks(self) -> list[dict[str, str]]:
        kinds = {"rsa": (jwt.algorithms.RSAAlgorithm, "RS256"), "ec": (jwt.algorithms.ECAlgorithm, "ES256")}
        told = []
        for key_id, key in self.keys.items():
            kind, algorithm = kinds[key_id.partition("-")[0]]
            told.append({**kind.to_jwk(key, as_dict=True), "kid": key_id, "use": "sig", "alg": algorithm})
        return told


@pytest.fixture
def issuer():
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


def settings(source: str, **fields: str) -> Settings:
    roles = "ml-audit=auditor,ml-audit=annotator,ml-ops=admin"
    own = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": source, "oidc_roles": roles}
    return Settings(**{**own, **fields})


@pytest.fixture
def access(issuer, redis):
    return Access(settings(issuer.url), redis)


def claims(**changed: object) -> dict[str, object]:
    told = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60, "sub": "ann", "roles": ["ml-audit"]}
    return {name: value for name, value in {**told, **changed}.items() if value is not None}


def signed(key=RSA, key_id: str = "rsa", algorithm: str = "RS256", **changed: object) -> str:
    return jwt.encode(claims(**changed), key, algorithm, headers={"kid": key_id})


async def cause(access: Access, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await access.caller([f"Bearer {token}"])
    assert token not in caught.value.message
    return caught.value.figures["cause"]


@pytest.mark.parametrize(("key", "key_id", "algorithm"), [(RSA, "rsa", "RS256"), (EC, "ec", "ES256")])
async def test_a_good_one_admits_with_the_roles_of_its_claim(access, key, key_id, algorithm):
    caller = await access.caller([f"Bearer {signed(key, key_id, algorithm)}"])
    assert (caller.credential, caller.subject) == (Credential.OIDC, "ann")
    assert caller.roles == {Role.AUDITOR, Role.ANNOTATOR}
    assert caller.annotator("") == "ann"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"exp": 1_000_000_000}, "expired"),
        ({"exp": None}, "unknown"),
        ({"aud": "other"}, "unknown"),
        ({"aud": None}, "unknown"),
        ({"iss": "https://other.example"}, "unknown"),
        ({"iss": None}, "unknown"),
        ({"nbf": 4_000_000_000}, "unknown"),
        ({"sub": None}, "malformed"),
        ({"sub": "a\nb"}, "malformed"),
    ],
)
async def test_claims_that_do_not_hold_are_refused(access, changed, why):
    assert await cause(access, signed(**changed)) == why


def part(told: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


async def test_forged_signatures_are_refused(access):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert await cause(access, signed(stranger)) == "unknown"
    for algorithm in ("none", "None"):
        unsigned = f"{part({'alg': algorithm, 'kid': 'rsa'})}.{part(claims())}."
        assert await cause(access, unsigned) == "unknown"
    # The public key, taken for a secret that both sides know.
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(claims())}"
    digest = hmac.digest(RSA.public_key().public_bytes(*form), body.encode(), sha256)
    assert await cause(access, f"{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}") == "unknown"
    head, _, signature = signed().split(".")
    assert await cause(access, f"{head}.{part(claims(sub='eve', roles=['ml-ops']))}.{signature}") == "unknown"
    assert await cause(access, "a.b.c") == "malformed"


async def test_unknown_key_ids_do_not_make_the_server_ask_again_and_again(access, issuer):
    await access.caller([f"Bearer {signed()}"])
    for number in range(5):
        assert await cause(access, signed(key_id=f"rsa-{number}")) == "unknown"
    assert await cause(access, jwt.encode(claims(), RSA, "RS256")) == "unknown"
    assert issuer.asked == 1


async def test_a_new_key_is_found_and_an_old_one_forgotten(access, issuer, monkeypatch):
    await access.caller([f"Bearer {signed()}"])
    issuer.keys = {"rsa-after": RSA_AFTER.public_key()}
    monkeypatch.setattr(oidc, "_REFETCH_S", 0.0)
    assert (await access.caller([f"Bearer {signed(RSA_AFTER, 'rsa-after')}"])).subject == "ann"
    assert issuer.asked == 2
    assert await cause(access, signed()) == "unknown"


async def test_keys_stay_good_while_the_issuer_is_away(access, issuer, monkeypatch):
    await access.caller([f"Bearer {signed()}"])
    issuer.server.shutdown()
    issuer.server.server_close()
    for name in ("_REFETCH_S", "_KEYS_LIFETIME_S"):
        monkeypatch.setattr(oidc, name, 0.0)
    assert (await access.caller([f"Bearer {signed()}"])).subject == "ann"


async def test_without_keys_the_server_says_that_it_can_not_tell(redis, tmp_path):
    with pytest.raises(BackendUnavailable, match="issuer's keys"):
        await Access(settings(str(tmp_path / "none.json")), redis).caller([f"Bearer {signed()}"])


async def test_keys_can_come_from_a_file_and_roles_from_a_claim_within_a_claim(issuer, redis, tmp_path):
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": issuer.jwks()}))
    own = settings(str(file), oidc_roles_claim="realm_access.roles", oidc_subject_claim="email")
    token = signed(realm_access={"roles": ["other", "ml-ops"]}, email="ann@example.org")
    caller = await Access(own, redis).caller([f"Bearer {token}"])
    assert (caller.subject, caller.roles) == ("ann@example.org", {Role.ADMIN})


@pytest.mark.parametrize("roles", [None, [], "other", {"a": 1}, 7])
async def test_who_has_no_role_may_nothing(access, roles):
    caller = await access.caller([f"Bearer {signed(roles=roles)}"])
    with pytest.raises(PermissionDenied, match="ann has no role"):
        caller.check("AuditService/ListAudits")


async def test_other_tokens_go_on_working(access):
    token = await access.tokens.create("ben", [Role.VIEWER])
    assert (await access.caller([f"Bearer {token}"])).subject == "ben"
    with pytest.raises(Unauthenticated, match="no token came"):
        await access.caller([])


async def test_the_pages_take_no_jwt(access, redis):
    with pytest.raises(Unauthenticated, match="no JWT"):
        await Sessions(Sealer(redis), None, access).signed_in("", signed())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"oidc_jwks": "http://issuer.example/jwks"}, "https://"),
        ({"oidc_jwks": "ftp://127.0.0.1/jwks"}, "https://"),
        ({"oidc_roles": "ml-audit=auditer"}, "'ml-audit=auditer'"),
        ({"oidc_roles": "auditor"}, "'auditor'"),
    ],
)
async def test_settings_that_can_not_work_are_refused(redis, fields, told):
    with pytest.raises(UnsafeListen, match=told):
        Access(settings("jwks.json", **fields), redis)


def test_half_of_the_settings_is_refused():
    with pytest.raises(ValueError, match="missing: oidc_audience, oidc_jwks, oidc_roles"):
        Settings(oidc_issuer=ISSUER)
