"""Writes keycloak.json and auth0.json: key sets and tokens in the shape of two issuers.

    python3 -m venv /tmp/foreign
    /tmp/foreign/bin/pip install joserfc==1.8.0 PyJWT==2.15.1 cryptography==50.0.2
    /tmp/foreign/bin/python make.py

Each run makes new keys; the private ones are thrown away. The tokens hold until 2100.
"""

import datetime
import json
from base64 import b64encode
from pathlib import Path

import jwt as pyjwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

USER = "5b1f2a0e-7d0c-4a57-9d0e-0f6c1b0e9a01"
ORGANIZATION = "c0ffee00-1f2e-4d3c-8b4a-5a6978879601"
YEAR_2026, YEAR_2100 = 1767225600, 4102444800


def certificate(private):
    """Returns a self-signed certificate as `x5c` has it, and its fingerprint in base64url."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme")])
    start = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1, start, start.replace(year=2036))
    made = builder.sign(private, hashes.SHA256())
    return b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def public(key, **members):
    return {**key.as_dict(private=False), **members}


def keycloak():
    """A realm with a key for each algorithm and one for encryption, as /protocol/openid-connect/certs has them."""
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signing = RSAKey.import_key(pem)
    encryption, ec = RSAKey.generate_key(2048), ECKey.generate_key("P-256")
    ed, ed448 = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed448")
    keys = [
        public(encryption, kid="enc-1", alg="RSA-OAEP", use="enc"),
        public(signing, kid="rsa-1", alg="RS256", use="sig", x5c=[certificate(private)]),
        public(ec, kid="ec-1", alg="ES256", use="sig"),
        public(ed, kid="ed-1", alg="Ed25519", use="sig"),
        public(ed448, kid="ed448-1", alg="Ed448", use="sig"),
    ]
    claims = {
        "exp": YEAR_2100,
        "iat": YEAR_2026,
        "jti": "onrtac:5f8d7a50-5d0e-2a51-5a52-9f1ddf1a5a01",
        "iss": "https://sso.acme.example/realms/acme",
        "aud": ["export-api", "account"],
        "sub": USER,
        "typ": "Bearer",
        "azp": "dashboard",
        "sid": "0f1a5a52-2a51-4a50-9f1d-5f8d7a505d01",
        "acr": "1",
        "allowed-origins": ["https://dashboard.acme.example"],
        "realm_access": {"roles": ["offline_access", "uma_authorization", "analyst"]},
        "resource_access": {"account": {"roles": ["manage-account"]}},
        "scope": "openid profile email",
        "organizationId": ORGANIZATION,
        "preferred_username": "ada",
        "email": "ada@acme.example",
    }
    sign = lambda alg, kid, key: jwt.encode({"alg": alg, "kid": kid, "typ": "JWT"}, claims, key, algorithms=[alg])
    tokens = {
        "RS256": sign("RS256", "rsa-1", signing),
        "ES256": sign("ES256", "ec-1", ec),
        "Ed25519": sign("Ed25519", "ed-1", ed),
        "EdDSA": sign("EdDSA", "ed-1", ed),
    }
    return {"made_with": "joserfc 1.8.0", "jwks": {"keys": keys}, "tokens": tokens}


def auth0():
    """A tenant whose claims have names with dots, and whose `sub` is no UUID."""
    private = rsa.generate_private_key(65537, 2048)
    jwk = json.loads(pyjwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    jwk = {**jwk, "kid": "N0UxMjM0", "use": "sig", "alg": "RS256", "x5c": [certificate(private)]}
    claims = {
        "https://acme.example/user_id": USER,
        "https://acme.example/organization_id": ORGANIZATION,
        "https://acme.example/roles": ["analyst"],
        "iss": "https://acme.eu.auth0.example/",
        "sub": "auth0|6560a1b2c3d4e5f607182930",
        "aud": ["export-api", "https://acme.eu.auth0.example/userinfo"],
        "iat": YEAR_2026,
        "exp": YEAR_2100,
        "scope": "openid profile",
        "azp": "mZyX",
        "permissions": ["export:read"],
    }
    token = pyjwt.encode(claims, private, algorithm="RS256", headers={"kid": "N0UxMjM0"})
    return {"made_with": "PyJWT 2.15.1", "jwks": {"keys": [jwk]}, "tokens": {"RS256": token}}


for name, made in (("keycloak", keycloak()), ("auth0", auth0())):
    path = Path(__file__).with_name(f"{name}.json")
    path.write_text(json.dumps(made, indent=2) + "\n")
