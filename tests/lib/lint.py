"""A lint of certificates and revocation lists, written from RFC 5280 and nothing of ours. Each finding names the section."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Iterator

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

BASIC_CONSTRAINTS, KEY_USAGE = ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE
SUBJECT_KEY_ID, AUTHORITY_KEY_ID = ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER
ALTERNATIVE_NAME, EXTENDED_KEY_USAGE = ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.EXTENDED_KEY_USAGE
DISTRIBUTION_POINTS, INFORMATION_ACCESS = ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.AUTHORITY_INFORMATION_ACCESS
INTEGER, BIT_STRING, OCTET_STRING, OBJECT_ID, SEQUENCE = 0x02, 0x03, 0x04, 0x06, 0x30
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
# AlgorithmIdentifiers: ECDSA has no parameters (RFC 5758, 3.2), RSA has NULL (RFC 4055, 5).
SIGNATURES = {
    "300a06082a8648ce3d040302": "ecdsa-with-SHA256", "300a06082a8648ce3d040303": "ecdsa-with-SHA384",
    "300a06082a8648ce3d040304": "ecdsa-with-SHA512", "300d06092a864886f70d01010b0500": "sha256WithRSAEncryption",
    "300d06092a864886f70d01010c0500": "sha384WithRSAEncryption", "300d06092a864886f70d01010d0500": "sha512WithRSAEncryption",
}


@dataclass
class Node:
    """One element of DER."""

    tag: int
    whole: bytes
    content: bytes

    def below(self) -> list["Node"]:
        return list(elements(self.content))


def elements(data: bytes) -> Iterator[Node]:
    """The elements that follow one another. Lengths must be the shortest (X.690, 10.1)."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            assert 1 <= count <= 4, "an indefinite or huge length"
            length = int.from_bytes(data[start:start + count], "big")
            assert length >= 0x80 and data[start] != 0, "a length that could be shorter"
            start += count
        assert start + length <= len(data), "an element longer than what holds it"
        yield Node(tag, data[at:start + length], data[start:start + length])
        at = start + length


class Lint:
    """Findings about one object."""

    def __init__(self) -> None:
        self.findings: list[str] = []

    def must(self, holds: bool, finding: str) -> None:
        if not holds:
            self.findings.append(finding)

    def integer(self, node: Node, what: str) -> int:
        octets = node.content
        shortest = len(octets) == 1 or not (octets[0] == 0 and octets[1] < 0x80 or octets[0] == 0xFF and octets[1] >= 0x80)
        self.must(node.tag == INTEGER and bool(octets) and shortest, f"{what} is no INTEGER in its shortest form (X.690 8.3.2)")
        return int.from_bytes(octets, "big", signed=True)

    def time(self, node: Node, what: str) -> None:
        text = node.content.decode("ascii", "replace")
        if node.tag == UTC_TIME:
            self.must(re.fullmatch(r"\d{12}Z", text) is not None, f"{what} is no UTCTime of YYMMDDHHMMSSZ (4.1.2.5.1)")
        else:
            self.must(node.tag == GENERALIZED_TIME, f"{what} is no time (4.1.2.5)")
            self.must(re.fullmatch(r"\d{14}Z", text) is not None, f"{what} is no GeneralizedTime of YYYYMMDDHHMMSSZ (4.1.2.5.2)")
            self.must(text[:4] >= "2050", f"{what} is a GeneralizedTime before 2050 (4.1.2.5)")

    def algorithm(self, inner: Node, outer: Node) -> None:
        self.must(inner.whole == outer.whole, "inner and outer signature algorithm differ (4.1.1.2)")
        self.must(inner.whole.hex() in SIGNATURES, "the signature algorithm is unknown or has wrong parameters (RFC 5758, RFC 4055)")

    def name(self, node: Node, what: str) -> None:
        for relative in node.below():
            for attribute in relative.below():
                kind, value = attribute.below()
                self.must(value.tag in (0x0C, 0x13), f"{what} has a string that is neither UTF8String nor PrintableString (4.1.2.4)")
                self.must(bool(value.content), f"{what} has an empty attribute")
                del kind


def lint(certificate: x509.Certificate, kind: str, issuer: x509.Certificate) -> list[str]:
    """What is wrong with a `root`, `issuing` or `leaf` certificate that `issuer` (for a root itself) signed."""
    found = Lint()
    outer = next(elements(certificate.public_bytes(Encoding.DER)))
    tbs, algorithm, signature = outer.below()
    fields = tbs.below()
    found.must(fields[0].tag == 0xA0 and fields[0].content.hex() == "020102", "it is not of version 3 (4.1.2.1)")
    serial = found.integer(fields[1], "the serial number")
    found.must(serial > 0, "the serial number is not positive (4.1.2.2)")
    found.must(len(fields[1].content) <= 20, "the serial number has more than 20 octets (4.1.2.2)")
    found.must(serial.bit_length() >= 64, "the serial number has fewer than 64 bits (CA/Browser Forum BR 7.1)")
    found.algorithm(fields[2], algorithm)
    found.must(signature.tag == BIT_STRING and signature.content[:1] == b"\0", "the signature is no BIT STRING of whole octets (4.1.1.3)")
    found.name(fields[3], "the issuer")
    found.name(fields[5], "the subject")
    found.must(bool(fields[3].content), "the issuer is empty (4.1.2.4)")
    found.must(kind == "leaf" or bool(fields[5].content), "the subject of a CA is empty (4.1.2.6)")
    found.must(certificate.issuer.public_bytes() == issuer.subject.public_bytes(), "the issuer is not the subject of its issuer, byte for byte (6.1.3)")
    for node, what in zip(fields[4].below(), ("notBefore", "notAfter")):
        found.time(node, what)
    found.must(certificate.not_valid_before_utc < certificate.not_valid_after_utc, "the validity ends before it begins (4.1.2.5)")
    inside = issuer.not_valid_before_utc <= certificate.not_valid_before_utc and certificate.not_valid_after_utc <= issuer.not_valid_after_utc
    found.must(inside, "the validity is not within the issuer's")
    found.must([node.tag for node in fields[7:]] == [0xA3], "there are unique identifiers, or no extensions (4.1.2.8)")
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError) as error:
        found.must(False, f"the issuer did not sign it: {error!r}")
    public_key(found, certificate)
    extensions(found, certificate, kind, issuer, fields[-1])
    return found.findings


def public_key(found: Lint, certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        found.must(key.key_size >= 2048, "an RSA key of fewer than 2048 bits")
        exponent = key.public_numbers().e
        found.must(exponent % 2 == 1 and exponent >= 65537, "an RSA exponent that is even or below 65537")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        found.must(key.curve.name in ("secp256r1", "secp384r1", "secp521r1"), "an unusual curve")
    else:
        found.must(isinstance(key, ed25519.Ed25519PublicKey), "an unusual kind of key")


def extensions(found: Lint, certificate: x509.Certificate, kind: str, issuer: x509.Certificate, node: Node) -> None:
    raw: dict[str, tuple[bool, bytes]] = {}
    for extension in next(elements(node.content)).below():
        parts = extension.below()
        found.must(parts[0].tag == OBJECT_ID and parts[-1].tag == OCTET_STRING, "a malformed extension (4.1)")
        # DER leaves a default out, so a critical that is written is TRUE (X.690 11.5).
        found.must(len(parts) == 2 or parts[1].whole.hex() == "0101ff", "'critical' is written and is not TRUE (X.690 11.5)")
        oid = dotted(parts[0].content)
        found.must(oid not in raw, f"the extension {oid} is there twice (4.2)")
        raw[oid] = (len(parts) == 3, parts[-1].content)
    known = {
        BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_KEY_ID, AUTHORITY_KEY_ID, ALTERNATIVE_NAME, EXTENDED_KEY_USAGE, DISTRIBUTION_POINTS,
        INFORMATION_ACCESS,
    }
    unknown = set(raw) - {oid.dotted_string for oid in known}
    found.must(not unknown, f"unexpected extensions: {unknown}")
    critical = {BASIC_CONSTRAINTS: True, KEY_USAGE: True}
    for oid in known:
        if oid.dotted_string in raw:
            wanted = critical.get(oid, oid == ALTERNATIVE_NAME and not certificate.subject.rdns)
            found.must(raw[oid.dotted_string][0] == wanted, f"{oid._name} is {'not ' if wanted else ''}critical (4.2.1)")
    constraints(found, certificate, kind, raw)
    key_ids(found, certificate, kind, issuer)
    addresses(found, certificate, kind)


def dotted(content: bytes) -> str:
    """The text of an OBJECT IDENTIFIER."""
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in [first, numbers[0] - 40 * first, *numbers[1:]])


def constraints(found: Lint, certificate: x509.Certificate, kind: str, raw: dict[str, tuple[bool, bytes]]) -> None:
    ca = kind != "leaf"
    basic = value(certificate, x509.BasicConstraints)
    found.must(basic is not None or not ca, "a CA without basic constraints (4.2.1.9)")
    if basic is not None:
        found.must(basic.ca == ca, "the basic constraints say the wrong thing (4.2.1.9)")
        found.must(basic.path_length == {"root": 1, "issuing": 0, "leaf": None}[kind], "the path length is wrong (4.2.1.9)")
        if not ca:
            found.must(raw[BASIC_CONSTRAINTS.dotted_string][1].hex() == "3000", "cA FALSE is written, and it is the default (X.690 11.5)")
    usage = value(certificate, x509.KeyUsage)
    found.must(usage is not None, "there is no key usage (4.2.1.3)")
    if usage is not None:
        found.must(usage.key_cert_sign == ca, "keyCertSign and cA do not go together (4.2.1.3)")
        found.must(usage.crl_sign == ca, "cRLSign is wrong (4.2.1.3)")
        found.must(usage.digital_signature, "digitalSignature is missing (4.2.1.3; TLS)")
        others = usage.content_commitment or usage.data_encipherment or usage.key_agreement
        found.must(not others, "a key usage that nobody needs (4.2.1.3)")
        encipher = usage.key_encipherment and not isinstance(certificate.public_key(), rsa.RSAPublicKey)
        found.must(not encipher, "keyEncipherment of a key that cannot (RFC 8813, RFC 8410)")
        bits = raw[KEY_USAGE.dotted_string][1]
        found.must(len(bits) == 4 and bits[3] & -bits[3] == 1 << bits[2], "the named bits have zeros at the end (X.690 11.2.2)")
    purposes = value(certificate, x509.ExtendedKeyUsage)
    if ca:
        found.must(purposes is None or ExtendedKeyUsageOID.CLIENT_AUTH in purposes, "a CA that excludes clientAuth (4.2.1.12)")
    else:
        found.must(purposes is not None and list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH], "a leaf is for clientAuth alone (4.2.1.12)")


def key_ids(found: Lint, certificate: x509.Certificate, kind: str, issuer: x509.Certificate) -> None:
    own = value(certificate, x509.SubjectKeyIdentifier)
    found.must(own is not None, "there is no subject key identifier (4.2.1.2)")
    if own is not None:
        spki = next(elements(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))
        bits = spki.below()[1].content[1:]
        found.must(own.digest == hashlib.sha1(bits).digest(), "the subject key identifier is not the SHA-1 of the key (4.2.1.2, method 1)")
    above = value(certificate, x509.AuthorityKeyIdentifier)
    found.must(above is not None or kind == "root", "there is no authority key identifier (4.2.1.1)")
    if above is not None:
        theirs = value(issuer, x509.SubjectKeyIdentifier)
        found.must(theirs is not None and above.key_identifier == theirs.digest, "the authority key identifier is not the issuer's (4.2.1.1)")
        both = (above.authority_cert_issuer is None) == (above.authority_cert_serial_number is None)
        found.must(both, "issuer and serial number of the authority go together (4.2.1.1)")


def addresses(found: Lint, certificate: x509.Certificate, kind: str) -> None:
    names = value(certificate, x509.SubjectAlternativeName)
    if kind == "leaf":
        uris = [name.value for name in names or [] if isinstance(name, x509.UniformResourceIdentifier)]
        found.must(names is not None and len(uris) == len(list(names)) == 1, "a leaf has one alternative name, a URI")
        found.must(all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", uri) for uri in uris), "the URI is no urn:uuid (RFC 9562)")
    else:
        found.must(names is None, "a CA has alternative names")
    points = value(certificate, x509.CRLDistributionPoints)
    access = value(certificate, x509.AuthorityInformationAccess)
    found.must(kind == "root" or points is not None, "there is no CRL distribution point (4.2.1.13)")
    found.must(kind == "root" or access is not None, "there is no address of the issuer's certificate (4.2.2.1)")
    for point in points or []:
        urls = [name.value for name in point.full_name or []]
        found.must(bool(urls) and all(url.startswith("http://") for url in urls), "a distribution point without an http address (4.2.1.13)")
        found.must(point.reasons is None and point.crl_issuer is None, "a list by reasons or of another issuer (4.2.1.13)")
    for description in access or []:
        found.must(description.access_location.value.startswith("http://"), "an address that is not http (4.2.2.1)")


def value(certificate: x509.Certificate, kind: type) -> object | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def lint_list(der: bytes, issuer: x509.Certificate) -> list[str]:
    """What is wrong with a revocation list of `issuer`."""
    found = Lint()
    tbs, algorithm, _ = next(elements(der)).below()
    fields = tbs.below()
    found.must(fields[0].whole.hex() == "020101", "it is not of version 2 (5.1.2.1)")
    found.algorithm(fields[1], algorithm)
    found.time(fields[3], "thisUpdate")
    found.time(fields[4], "nextUpdate")
    entries = fields[5].below() if fields[5].tag == SEQUENCE else []
    found.must(fields[5].tag != SEQUENCE or bool(entries), "an empty list of entries is left out (5.1.2.6)")
    seen = set()
    for entry in entries:
        parts = entry.below()
        serial = found.integer(parts[0], "a serial number")
        found.must(0 < serial and len(parts[0].content) <= 20, "a serial number that is not positive or too long (5.1.2.6)")
        found.must(serial not in seen, "a certificate is there twice (5.1.2.6)")
        seen.add(serial)
        found.time(parts[1], "a revocation date")
        found.must(len(parts) == 2 or bool(parts[2].below()), "an empty list of entry extensions (5.3)")
    parsed = x509.load_der_x509_crl(der)
    found.must(parsed.issuer.public_bytes() == issuer.subject.public_bytes(), "the issuer is not the CA's subject, byte for byte (5.1.2.3)")
    found.must(parsed.is_signature_valid(issuer.public_key()), "the signature does not verify (6.3.3)")
    found.must(parsed.next_update_utc is not None and parsed.last_update_utc < parsed.next_update_utc, "nextUpdate is not after thisUpdate (5.1.2.5)")
    for kind, section in ((x509.AuthorityKeyIdentifier, "5.2.1"), (x509.CRLNumber, "5.2.3")):
        here = [extension for extension in parsed.extensions if isinstance(extension.value, kind)]
        found.must(len(here) == 1 and not here[0].critical, f"{kind.__name__} is missing, doubled or critical ({section})")
    above = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    theirs = value(issuer, x509.SubjectKeyIdentifier)
    found.must(theirs is not None and above == theirs.digest, "the authority key identifier is not the issuer's (5.2.1)")
    found.must(parsed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number.bit_length() <= 159, "the number has more than 20 octets (5.2.3)")
    return found.findings
