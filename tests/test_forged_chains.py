"""Chains that are forged in every way but one, through TLS: DPS over MQTT and HTTPS and the hub refuse them, and serve a good device right after."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import ssl
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lib import arm as versions
from lib import dps, raw
from lib.keys import Chain, PrivateKey, b64, csr, new_key, pem
from lib.plant import Plant

NOT_AUTHORIZED = 5
DEVICE = "forged-device"
# What the handshake itself refuses.
IN_TLS = "TLS"
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Signed:
    """A certificate with its key and those above it but the root."""

    certificate: x509.Certificate
    key: PrivateKey
    above: list[x509.Certificate] = field(default_factory=list)

    def sign(
        self, subject: str, *more: x509.ExtensionType, ca: bool = True, length: int | None = None, key: PrivateKey | None = None,
        expired: bool = False,
    ) -> "Signed":
        key = key or new_key()
        builder = build(subject, self.certificate.subject, key, ca, length, expired)
        for extension in more:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.NameConstraints))
        own = [self.certificate] if self.certificate.issuer != self.certificate.subject else []
        return Signed(builder.sign(self.key, hashes.SHA256()), key, [*own, *self.above])

    def presented(self, folder: Path, name: str, times: int = 1) -> Chain:
        """In files, as a TLS client sends it: the leaf and what is above it, so many times."""
        chain = [self.certificate, *self.above] * times
        certificates, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificates.write_bytes(b"".join(pem(one) for one in chain))
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Chain(chain, certificates, key)


def build(subject: str, issuer: x509.Name, key: PrivateKey, ca: bool, length: int | None, expired: bool) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = (now - 30 * DAY, now - DAY) if expired else (now - DAY, now + 30 * DAY)
    return (
        x509.CertificateBuilder().subject_name(called(subject)).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
    )


def called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def leaf(issuer: Signed, *more: x509.ExtensionType, **options: Any) -> Signed:
    return issuer.sign(DEVICE, *more, ca=False, **options)


def leaf_by_sha1(issuer: Signed) -> Signed:
    """By openssl: Python's library makes no such signature any more."""
    key = new_key()
    request = csr(key, DEVICE, [x509.BasicConstraints(ca=False, path_length=None)])
    with tempfile.TemporaryDirectory() as folder:
        ca = issuer.presented(Path(folder), "ca")
        signing = ["-CA", ca.certificate_file, "-CAkey", ca.key_file, "-set_serial", "7", "-sha1", "-copy_extensions", "copy"]
        done = subprocess.run(["openssl", "x509", "-req", "-inform", "DER", *signing], input=request, check=True, capture_output=True)
    return Signed(x509.load_pem_x509_certificate(done.stdout), key, issuer.above)


def permitted(name: str) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=[x509.DNSName(name)], excluded_subtrees=None)


def large() -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x04\x82" + bytes(1 << 20))


# Each with what DPS says of it over HTTPS, or that it never comes so far.
FORGED = {
    "path length": (lambda root: leaf(root.sign("short", length=0).sign("below")), "too long"),
    "no CA": (lambda root: leaf(root.sign("no-ca", ca=False)), "no certificate authority"),
    "expired middle": (lambda root: leaf(root.sign("expired", expired=True)), "expired"),
    "name constraints": (
        lambda root: leaf(root.sign("named", permitted("example.com")), x509.SubjectAlternativeName([x509.DNSName("elsewhere.org")])),
        "name constraints",
    ),
    "SHA-1": (leaf_by_sha1, "SHA-1"),
    "RSA-1024": (lambda root: leaf(root, key=new_key("RSA-1024")), IN_TLS),
    "1 MB": (lambda root: leaf(root, large()), IN_TLS),
    "20 certificates": (lambda root: leaf(root), IN_TLS),
}


@pytest.fixture(scope="module")
def root(plant: Plant) -> Signed:
    """A factory's, for which DPS has an enrollment group and the hub a device."""
    key = new_key()
    made = Signed(build("forged-factory", called("forged-factory"), key, True, None, False).sign(key, hashes.SHA256()), key)
    text = pem(made.certificate)
    attestation = {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": text.decode()}}}}
    answer = plant.dps_rest("PUT", "/enrollmentGroups/forged-factory", {"enrollmentGroupId": "forged-factory", "attestation": attestation})
    assert answer.status_code == 200, answer.text
    trusted = {"properties": {"certificate": b64(text), "isVerified": True}}
    plant.arm.put(f"{plant.hub}/certificates/forged-factory", versions.HUB, trusted)
    answer = plant.hub_rest("PUT", f"/devices/{DEVICE}", {"deviceId": DEVICE, "authentication": {"type": "certificateAuthority"}})
    assert answer.status_code == 200, answer.text
    return made


def context(plant: Plant, chain: Chain) -> ssl.SSLContext:
    """OpenSSL by itself would keep the weak ones from being sent."""
    made = ssl.create_default_context(cafile=plant.server.ca)
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.load_cert_chain(chain.certificate_file, chain.key_file)
    return made


def over_mqtt(plant: Plant, chain: Chain, host: str, user: str) -> int | str:
    """The code of the CONNACK; that TLS ended where there is none."""
    tls = context(plant, chain)
    try:
        with raw.dial(plant.server, tls, name=host) as connection:
            connection.sendall(raw.connect_packet(DEVICE, user))
            answer = connection.recv(4)
    except (ConnectionError, ssl.SSLError) as ended:
        print(host, repr(ended))
        return IN_TLS
    # The alert may be lost behind what the client was still sending: then it sees an end, and no CONNACK either.
    return answer[3] if answer else IN_TLS


def over_https(plant: Plant, chain: Chain) -> tuple[int | str, str]:
    """Status and message of a registration; that TLS ended where there is none."""
    connection = http.client.HTTPConnection(dps.DEVICE_HOST)
    path, tls = f"/{dps.resource(plant.id_scope, DEVICE)}/register?api-version={dps.API}", context(plant, chain)
    try:
        plain = socket.create_connection(("127.0.0.1", plant.server.https_port), timeout=45)
        connection.sock = tls.wrap_socket(plain, server_hostname=dps.DEVICE_HOST)
        connection.request("PUT", path, json.dumps({"registrationId": DEVICE}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (ConnectionError, ssl.SSLError) as ended:
        print(repr(ended))
        return IN_TLS, ""
    finally:
        connection.close()


def everywhere(plant: Plant, chain: Chain) -> tuple[int | str, int | str, int | str, str]:
    """What DPS over MQTT, the hub, and DPS over HTTPS make of the chain, and what the last one says."""
    user = f"{dps.resource(plant.id_scope, DEVICE)}/api-version={dps.API}"
    by_mqtt = over_mqtt(plant, chain, dps.DEVICE_HOST, user)
    at_hub = over_mqtt(plant, chain, plant.hub_host, plant.username(DEVICE))
    return by_mqtt, at_hub, *over_https(plant, chain)


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_chain_opens_nothing(plant: Plant, root: Signed, tmp_path: Path, forgery: str) -> None:
    forge, word = FORGED[forgery]
    forged = forge(root).presented(tmp_path, "forged", 20 if forgery == "20 certificates" else 1)
    by_mqtt, at_hub, by_https, said = everywhere(plant, forged)
    if word == IN_TLS:
        assert (by_mqtt, at_hub, by_https) == (IN_TLS, IN_TLS, IN_TLS), said
    else:
        assert (by_mqtt, at_hub, by_https) == (NOT_AUTHORIZED, NOT_AUTHORIZED, 401), said
        assert word in said, said
    # The same by the rules is let in.
    good = leaf(root.sign("line", length=0)).presented(tmp_path, "good")
    assert everywhere(plant, good)[:3] == (0, 0, 202)
    assert plant.server.alive and not [line for line in plant.server.log if "panicked" in line]
