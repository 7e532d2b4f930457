"""Shared access signatures, derived keys, certificate requests, chains."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def sas(resource: str, key: str, policy: str | None = None, lifetime: int = 3600) -> str:
    """A SharedAccessSignature for `resource` (iot-hub-and-dps.md A.3)."""
    expiry = int(time.time()) + lifetime
    encoded = quote(resource, safe="")
    signature = hmac.new(base64.b64decode(key), f"{encoded}\n{expiry}".encode(), hashlib.sha256).digest()
    text = f"SharedAccessSignature sr={encoded}&sig={quote(base64.b64encode(signature), safe='')}&se={expiry}"
    return f"{text}&skn={policy}" if policy else text


def derived(group_key: str, registration_id: str) -> str:
    """A device's key from its enrollment group's."""
    return base64.b64encode(hmac.new(base64.b64decode(group_key), registration_id.encode(), hashlib.sha256).digest()).decode()


def new_key(kind: str = "P-256") -> PrivateKey:
    """A private key of a kind that the service documents."""
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("RSA-")))
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[kind])


def csr(key: PrivateKey, common_name: str, extensions: list[x509.ExtensionType] | None = None) -> bytes:
    """A PKCS#10 request, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
    for extension in extensions or []:
        builder = builder.add_extension(extension, critical=True)
    # Ed25519 has a hash of its own.
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def b64(der: bytes) -> str:
    return base64.b64encode(der).decode()


@dataclass(frozen=True)
class Chain:
    """A chain as it was issued, leaf first, with the leaf's key, in files."""

    certificates: list[x509.Certificate]
    certificate_file: Path
    key_file: Path

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]


def save_chain(folder: Path, name: str, encoded: list[str], key: PrivateKey) -> Chain:
    """Writes leaf and issuing CA, and the key, as a client sends them."""
    certificates = [x509.load_der_x509_certificate(base64.b64decode(one, validate=True)) for one in encoded]
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(b"".join(pem(one) for one in certificates[:2]))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Chain(certificates, certificate_file, key_file)


def make_chain(folder: Path, name: str, issuer: Chain | None, ca: bool = False, common_name: str | None = None) -> Chain:
    """A certificate of a factory, with those above it but the root: for a device, or for a CA."""
    key, subject = new_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or name)])
    signer: PrivateKey = key
    if issuer:
        loaded = serialization.load_pem_private_key(issuer.key_file.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.leaf.subject if issuer else subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    certificate = builder.sign(signer, hashes.SHA256())
    above = [one for one in issuer.certificates if one.issuer != one.subject] if issuer else []
    return save_chain(folder, name, [b64(one.public_bytes(serialization.Encoding.DER)) for one in [certificate, *above]], key)


def signed_by_own_root(request: str, folder: Path) -> str:
    """The chain, leaf to root, that openssl makes of a request under a new root."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
    (folder / "root.ext").write_text(f"basicConstraints=critical,CA:TRUE,pathlen:1\n{usage}")
    (folder / "ica.csr").write_text(request)
    openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "root.key")
    openssl("req", "-new", "-key", "root.key", "-subj", "/CN=Own Root", "-out", "root.csr")
    openssl("x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-days", "3650", "-sha384", "-extfile", "root.ext", "-out", "root.pem")
    signing = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "730", "-sha384", "-copy_extensions", "copy")
    openssl("x509", "-req", "-in", "ica.csr", *signing, "-out", "ica.pem")
    return (folder / "ica.pem").read_text() + (folder / "root.pem").read_text()


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def check_chain(folder: Path, chain: Chain, device: str, key: PrivateKey) -> None:
    """Judges a chain with OpenSSL, strictly, and looks at the leaf."""
    assert len(chain.certificates) == 3, f"{len(chain.certificates)} certificates instead of three"
    leaf, issuing, root = chain.certificates
    for name, certificate in (("leaf", leaf), ("issuing", issuing), ("root", root)):
        (folder / f"{name}.pem").write_bytes(pem(certificate))
    verdict = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"],
        cwd=folder, text=True, capture_output=True,
    )
    assert verdict.returncode == 0 and verdict.stdout.strip() == "leaf.pem: OK", verdict.stdout + verdict.stderr
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [name.value for name in names] == [device]
    assert leaf.public_key() == key.public_key(), "the leaf certifies another key"
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert not constraints.value.ca, "the leaf is a CA"
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.crl_sign
