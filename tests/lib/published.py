"""What the certificates of a chain say is published about them: revocation lists and CA certificates, and OpenSSL's verdict with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lib.keys import Chain, pem


def crls(chain: Chain) -> bytes:
    """The revocation lists that leaf and issuing CA name, PEM; each must be signed by the one above, under its name."""
    found = b""
    for subject, issuer in zip(chain.certificates, chain.certificates[1:]):
        points = subject.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        answer = requests.get(points[0].full_name[0].value, timeout=30)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/pkix-crl", answer.text
        parsed = x509.load_der_x509_crl(answer.content)
        assert parsed.is_signature_valid(issuer.public_key()) and parsed.issuer == issuer.subject
        found += parsed.public_bytes(Encoding.PEM)
    return found


def authorities(chain: Chain) -> list[x509.Certificate]:
    """The CA certificates that leaf and issuing CA name; each must be the one that stands above them in the chain."""
    found = []
    for subject, issuer in zip(chain.certificates, chain.certificates[1:]):
        access = subject.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        answer = requests.get(access[0].access_location.value, timeout=30)
        assert answer.status_code == 200 and answer.content == issuer.public_bytes(Encoding.DER)
        found.append(x509.load_der_x509_certificate(answer.content))
    return found


def verdict(folder: Path, chain: Chain, root: x509.Certificate | None = None) -> subprocess.CompletedProcess[str]:
    """OpenSSL's, strictly and with every revocation list, for somebody who trusts `root`; the chain's own without it."""
    leaf, issuing, own = chain.certificates
    for name, one in (("leaf", leaf), ("issuing", issuing), ("root", root or own)):
        (folder / f"{name}.pem").write_bytes(pem(one))
    (folder / "crls.pem").write_bytes(crls(chain))
    files = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "crls.pem", "leaf.pem"]
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", *files]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True)
