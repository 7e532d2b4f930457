"""Root, issuing and leaf certificates, and revocation lists, against a lint written from RFC 5280 and OpenSSL's strict checks: every key
that a policy's CA and a device may have."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib import arm as versions
from lib import dps
from lib.keys import b64, check_chain, csr, derived, new_key, save_chain
from lib.lint import lint, lint_list
from lib.plant import build, enroll
from lib.server import Server

KEY_TYPES = ["ECC", "ECC-P256", "ECC-P384", "ECC-P521", "RSA-3072"]
DEVICE_KEYS = ["P-256", "P-384", "P-521", "RSA-2048", "RSA-4096", "Ed25519"]


def device_key(kind: str) -> Any:
    return ed25519.Ed25519PrivateKey.generate() if kind == "Ed25519" else new_key(kind)


def request(key: Any, device: str) -> bytes:
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        return csr(key, device)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None)
    return made.public_bytes(Encoding.DER)


def test_every_certificate_and_list_is_as_rfc_5280_wants(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server(flags=["--pki-port", "0"])
    plant = build(server, "lint")
    lists: dict[str, tuple[bytes, x509.Certificate]] = {}
    devices: list[tuple[str, Any]] = []
    for key_type in KEY_TYPES:
        policy = f"{plant.namespace}/credentials/default/policies/{key_type.lower()}"
        body = {"properties": {"certificate": {"certificateAuthorityConfiguration": {"keyType": key_type}}}}
        made = plant.arm.put(policy, versions.REGISTRY, body)
        assert made["properties"]["certificate"]["certificateAuthorityConfiguration"]["keyType"] == key_type
        group_key = enroll(plant, key_type.lower(), key_type.lower())
        for kind in DEVICE_KEYS:
            device, key = f"{key_type}-{kind}".lower(), device_key(kind)
            answer = dps.register(server, plant.id_scope, device, derived(group_key, device), b64(request(key, device)))
            assert answer.body["status"] == "assigned", answer.body
            chain = save_chain(tmp_path, device, answer.state["issuedCertificateChain"], key)
            check_chain(tmp_path, chain, device, key)
            leaf, issuing, root = chain.certificates
            for certificate, what, issuer in ((leaf, "leaf", issuing), (issuing, "issuing", root), (root, "root", root)):
                findings = lint(certificate, what, issuer)
                assert not findings, f"{what} of {key_type} for {kind}: {findings}"
            for certificate, issuer in ((leaf, issuing), (issuing, root)):
                points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
                url = points[0].full_name[0].value
                lists.setdefault(url, (requests.get(url, timeout=30).content, issuer))
            crls = b"".join(x509.load_der_x509_crl(der).public_bytes(Encoding.PEM) for der, _ in lists.values())
            (tmp_path / "crls.pem").write_bytes(crls)
            files = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "crls.pem", "leaf.pem"]
            strict = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", *files]
            verdict = subprocess.run(strict, cwd=tmp_path, text=True, capture_output=True)
            assert verdict.returncode == 0, verdict.stdout + verdict.stderr
            devices.append((device, chain))
    assert len(lists) == len(KEY_TYPES) + 1
    for der, issuer in lists.values():
        assert not lint_list(der, issuer), issuer.subject
    # OpenSSL's own reader of DER takes them without a complaint.
    for name in ("leaf", "issuing", "root"):
        parsed = subprocess.run(["openssl", "asn1parse", "-in", f"{name}.pem"], cwd=tmp_path, text=True, capture_output=True)
        assert parsed.returncode == 0 and "Error" not in parsed.stdout + parsed.stderr

    # The hub takes each of them, once it has been told of the policies.
    plant.synchronize()
    for device, chain in devices:
        with plant.connect(device, chain) as hub:
            assert hub.subscribe("$iothub/twin/res/#", 0) == 0, device


def self_made(**wrong: Any) -> tuple[x509.Certificate, x509.Certificate]:
    """A leaf and its CA, made by another hand; `wrong` says what is not as it should be."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    ca_key, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Judged")])
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only",
         "decipher_only"), False,
    )
    spki = ca_key.public_key()
    ca = (
        x509.CertificateBuilder().subject_name(ca_name).issuer_name(ca_name).public_key(spki).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(spki), critical=False)
        .sign(ca_key, hashes.SHA384())
    )
    extensions: list[tuple[str, x509.ExtensionType, bool]] = [
        ("basic", x509.BasicConstraints(ca=False, path_length=None), True),
        ("usage", x509.KeyUsage(digital_signature=True, **{**usage, **wrong.get("usage", {})}), True),
        ("purposes", x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        ("own", x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        ("above", x509.AuthorityKeyIdentifier.from_issuer_public_key(spki), False),
        ("names", x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:uuid:01234567-89ab-4def-8123-456789abcdef")]), False),
        ("points", x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier("http://a/b")], None, None, None)]), False),
        ("access", x509.AuthorityInformationAccess(
            [x509.AccessDescription(x509.AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://a/c"))]), False),
    ]
    builder = (
        x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "d")]))
        .issuer_name(wrong.get("issuer", ca_name)).public_key(key.public_key())
        .serial_number(wrong.get("serial", x509.random_serial_number())).not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=wrong.get("days", 30)))
    )
    for name, extension, critical in extensions:
        if name in wrong.get("without", ()):
            continue
        builder = builder.add_extension(wrong.get(name, extension) if name != "usage" else extension, critical ^ (name in wrong.get("flipped", ())))
    return builder.sign(ca_key, hashes.SHA384()), ca


@pytest.mark.parametrize(("wrong", "finding"), [
    ({}, None),
    ({"serial": 77}, "fewer than 64 bits"),
    ({"without": ["basic"]}, None),
    ({"without": ["own"]}, "no subject key identifier"),
    ({"without": ["above"]}, "no authority key identifier"),
    ({"without": ["usage"]}, "no key usage"),
    ({"without": ["purposes"]}, "clientAuth alone"),
    ({"without": ["points"]}, "no CRL distribution point"),
    ({"without": ["access"]}, "no address of the issuer"),
    ({"without": ["names"]}, "one alternative name"),
    ({"flipped": ["basic"]}, "is not critical"),
    ({"flipped": ["usage"]}, "is not critical"),
    ({"flipped": ["own"]}, "is critical"),
    ({"flipped": ["names"]}, "is critical"),
    ({"usage": {"key_cert_sign": True}}, "do not go together"),
    ({"usage": {"key_encipherment": True}}, "of a key that cannot"),
    ({"basic": x509.BasicConstraints(ca=True, path_length=0)}, "basic constraints say the wrong thing"),
    ({"own": x509.SubjectKeyIdentifier(b"\1" * 20)}, "not the SHA-1 of the key"),
    ({"above": x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)}, "not the issuer's"),
    ({"days": 5000}, "not within the issuer's"),
    ({"issuer": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "judged")])}, "byte for byte"),
])
def test_the_lint_finds_what_is_wrong(wrong: dict[str, Any], finding: str | None) -> None:
    """A judge that finds nothing proves nothing."""
    certificate, ca = self_made(**wrong)
    findings = lint(certificate, "leaf", ca)
    assert findings == [] if finding is None else any(finding in one for one in findings), findings
