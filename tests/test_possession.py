"""Possession of a CA's key is proven through azure-mgmt-iothub and azure-mgmt-iothubprovisioningservices, with a chain that openssl
made: the code that the service gives is the common name of a certificate which the uploaded CA signs."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from lib.judge import PACKAGES, Judge
from lib.plant import Plant
from lib.sdk import Package

HUB_OLD, HUB_NEW, DPS = (
    next(one for one in PACKAGES if (one.distribution, one.version) == wanted)
    for wanted in (("azure-mgmt-iothub", "4.0.0"), ("azure-mgmt-iothub", "5.0.0b5"), ("azure-mgmt-iothubprovisioningservices", "2.1.0"))
)


class Factory:
    """A root of a factory and the CA of one of its lines below it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        ca = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.openssl("req", "-x509", *self.key("root"), "-out", "root.pem", "-days", "300", "-subj", f"/CN={name} root", *ca)
        self.issue("line", f"{name} line", "root", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")

    def openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def key(self, name: str) -> tuple[str, ...]:
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", f"{name}.key"

    def issue(self, file: str, common_name: str, issuer: str, extensions: str = "") -> bytes:
        self.openssl("req", *self.key(file), "-out", f"{file}.csr", "-subj", f"/CN={common_name}")
        (self.folder / f"{file}.ext").write_text(extensions)
        signer = ("-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial")
        self.openssl("x509", "-req", "-in", f"{file}.csr", *signer, "-out", f"{file}.pem", "-days", "30", "-extfile", f"{file}.ext")
        return (self.folder / f"{file}.pem").read_bytes()

    def pem(self, file: str) -> bytes:
        return (self.folder / f"{file}.pem").read_bytes()


def client(package: Package, plant: Plant, folder: Path) -> Any:
    return Judge(package, plant, folder)._client()


class Old:
    """A hub's certificates by the newest stable package."""

    def __init__(self, plant: Plant, folder: Path) -> None:
        self.certificates, self.of = client(HUB_OLD, plant, folder).certificates, (plant.group_name, plant.hub_name)

    def upload(self, name: str, pem: bytes) -> Any:
        # Its model has a text where the newer ones have bytes.
        body = {"properties": {"certificate": base64.b64encode(pem).decode()}}
        return self.certificates.create_or_update(*self.of, name, body)

    def code(self, name: str, etag: str) -> Any:
        return self.certificates.generate_verification_code(*self.of, name, etag)

    def verify(self, name: str, etag: str, proof: bytes) -> Any:
        return self.certificates.verify(*self.of, name, etag, {"certificate": proof.decode()})

    def delete(self, name: str, etag: str) -> None:
        self.certificates.delete(*self.of, name, etag)


class New(Old):
    """The same by the newest package."""

    def upload(self, name: str, pem: bytes) -> Any:
        return self.certificates.create_or_update(*self.of, name, {"properties": {"certificate": pem}})

    def __init__(self, plant: Plant, folder: Path) -> None:
        self.certificates, self.of = client(HUB_NEW, plant, folder).certificates, (plant.group_name, plant.hub_name)

    def code(self, name: str, etag: str) -> Any:
        return self.certificates.generate_verification_code(*self.of, name, etag=etag, match_condition=MatchConditions.IfNotModified)

    def verify(self, name: str, etag: str, proof: bytes) -> Any:
        body = {"certificate": proof.decode()}
        return self.certificates.verify(*self.of, name, body, etag=etag, match_condition=MatchConditions.IfNotModified)

    def delete(self, name: str, etag: str) -> None:
        self.certificates.delete(*self.of, name, etag=etag, match_condition=MatchConditions.IfNotModified)


class Dps(New):
    """A provisioning service's certificates, whose methods begin with the name of the certificate."""

    def __init__(self, plant: Plant, folder: Path) -> None:
        self.certificates = client(DPS, plant, folder).dps_certificate
        self.of = (plant.group_name, plant.dps.rsplit("/", 1)[1])

    def code(self, name: str, etag: str) -> Any:
        return self.certificates.generate_verification_code(name, *self.of, etag=etag, match_condition=MatchConditions.IfNotModified)

    def verify(self, name: str, etag: str, proof: bytes) -> Any:
        body = {"certificate": proof.decode()}
        return self.certificates.verify_certificate(name, *self.of, body, etag=etag, match_condition=MatchConditions.IfNotModified)

    def delete(self, name: str, etag: str) -> None:
        self.certificates.delete(*self.of, name, etag=etag, match_condition=MatchConditions.IfNotModified)


@pytest.mark.parametrize("service", [Old, New, Dps])
def test_a_code_is_proven_by_a_certificate_of_the_uploaded_ca(service: Callable[..., Old], plant: Plant, tmp_path: Path) -> None:
    name = f"line-{service.__name__.lower()}"
    factory, other = Factory(tmp_path, f"{name} factory"), tmp_path / "other"
    other.mkdir()
    ours = service(plant, tmp_path)
    uploaded = ours.upload(name, factory.pem("line"))
    assert uploaded.name == name and not uploaded.properties.is_verified
    assert uploaded.properties.subject == f"CN={factory.name} line"

    asked = ours.code(name, uploaded.etag)
    code = asked.properties.verification_code
    assert len(code) >= 32 and not asked.properties.is_verified
    # Another CA's certificate over it, one over another code, and an old etag prove nothing.
    foreign = Factory(other, "elsewhere").issue("proof", code, "line")
    for proof, etag in ((foreign, asked.etag), (factory.issue("wrong", "another code", "line"), asked.etag)):
        with pytest.raises(HttpResponseError) as refused:
            ours.verify(name, etag, proof)
        assert refused.value.status_code == 400, refused.value
    proof = factory.issue("proof", code, "line")
    with pytest.raises(HttpResponseError) as stale:
        ours.verify(name, '"AAAAAAAAAAA="', proof)
    assert stale.value.status_code == 412
    verified = ours.verify(name, asked.etag, proof)
    assert verified.properties.is_verified
    # What has proven it once need not do so again, and a code is good for one proof.
    with pytest.raises(HttpResponseError):
        ours.verify(name, verified.etag, proof)
    ours.delete(name, verified.etag)
