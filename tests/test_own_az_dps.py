"""`ferrohub az` about provisioning, certificate authorities and devices, against the server: each line does what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lib import dps as device_side
from lib.keys import Chain, b64, check_chain, csr, derived, new_key, save_chain
from lib.mqtt import Refused
from lib.plant import Plant, enroll
from lib.server import until


def az(plant: Plant, *words: str) -> Any:
    return plant.server.az(*words)


def dps(plant: Plant) -> list[str]:
    return ["--dps-name", plant.dps.rsplit("/", 1)[1], "-g", plant.group_name]


def test_policies(plant: Plant) -> None:
    made = az(plant, "iot", "dps", "policy", "create", *dps(plant), "--pn", "reader", "--rights", "EnrollmentRead", "RegistrationStatusRead")
    assert made["keyName"] == "reader" and made["rights"] == "EnrollmentRead, RegistrationStatusRead", made
    string = az(plant, "iot", "dps", "connection-string", "show", *dps(plant), "--pn", "reader")["connectionString"]
    assert made["primaryKey"] in string
    listed = az(plant, "iot", "dps", "enrollment-group", "list", "--login", string)
    assert "group" in [one["enrollmentGroupId"] for one in listed]
    assert plant.server.run("az", "iot", "dps", "enrollment-group", "delete", "--login", string, "--gid", "group").code == 1
    changed = az(plant, "iot", "dps", "policy", "update", *dps(plant), "--pn", "reader", "--primary-key", "")
    assert changed["primaryKey"] != made["primaryKey"] and changed["secondaryKey"] == made["secondaryKey"]
    assert "reader" not in [one["keyName"] for one in az(plant, "iot", "dps", "policy", "delete", *dps(plant), "--pn", "reader")]
    hub = ["--hub-name", plant.hub_name, "-g", plant.group_name]
    az(plant, "iot", "hub", "policy", "create", *hub, "-n", "reader", "--permissions", "RegistryRead")
    assert az(plant, "iot", "hub", "policy", "show", *hub, "-n", "reader")["rights"] == "RegistryRead"
    az(plant, "iot", "hub", "policy", "delete", *hub, "-n", "reader")
    assert plant.hub_rest("GET", "/devices/nobody").status_code == 404, "the owner's key still opens the hub"


def test_a_device_registers(plant: Plant, tmp_path: Path) -> None:
    device, key = "az-registers", new_key()
    by_group = az(plant, "iot", "device", "registration", "create", *dps(plant), "--rid", device, "--gid", "group")
    assert by_group["status"] == "assigned" and by_group["registrationState"]["assignedHub"] == plant.hub_host, by_group
    request = tmp_path / "device.csr"
    request.write_bytes(csr(key, device))
    issued = az(
        plant, "iot", "device", "registration", "create", "--id-scope", plant.id_scope, "--rid", device,
        "--key", plant.group_key, "--compute-key", "--csr", str(request),
    )
    assert len(issued["registrationState"]["issuedCertificateChain"]) == 3, issued
    shown = az(plant, "iot", "dps", "enrollment-group", "registration", "show", *dps(plant), "--rid", device)
    assert shown["deviceId"] == device
    assert device in [one["registrationId"] for one in az(plant, "iot", "dps", "registration", "list", *dps(plant), "--gid", "group")]
    refused = plant.server.run(
        "az", "iot", "device", "registration", "create", "--id-scope", plant.id_scope, "--rid", device, "--key", plant.group_key
    )
    assert refused.code == 1 and "MQTT return code 5" in refused.stderr, refused
    az(plant, "iot", "dps", "registration", "delete", *dps(plant), "--registration-id", device)


def test_certificate_authorities(plant: Plant) -> None:
    namespace = ["--ns", plant.namespace.rsplit("/", 1)[1], "-g", plant.group_name]
    root = next(one for one in az(plant, "iot", "adr", "ns", "ca", "list", *namespace) if one["properties"]["certificateAuthorityType"] == "Root")
    made = az(
        plant, "iot", "adr", "ns", "ca", "create", *namespace, "-n", "az-line", "--type", "ICA",
        "--issuer-type", "Microsoft", "--issuer-ca-name", root["name"], "--tags", "line=1",
    )
    assert made["properties"]["issuer"]["certificateAuthorityResourceId"].lower() == root["id"].lower(), made
    policy = az(plant, "iot", "adr", "ns", "ca", "policy", "create", *namespace, "--ca", "az-line", "-n", "az-short", "--vd", "7")
    assert policy["properties"]["certificate"]["validityPeriodInDays"] == 7, policy
    changed = az(plant, "iot", "adr", "ns", "ca", "policy", "update", *namespace, "--ca", "az-line", "-n", "az-short", "--vd", "9")
    assert changed["properties"]["certificate"]["validityPeriodInDays"] == 9, changed
    assert az(plant, "iot", "adr", "ns", "ca", "update", *namespace, "-n", "az-line", "--tags", "line=2")["tags"] == {"line": "2"}
    # The older grammar shows the same thing.
    assert az(plant, "iot", "adr", "ns", "policy", "show", *namespace, "-n", "az-line")["name"] == "az-line"
    az(plant, "iot", "adr", "ns", "ca", "policy", "delete", *namespace, "--ca", "az-line", "-n", "az-short", "-y")
    az(plant, "iot", "adr", "ns", "ca", "delete", *namespace, "-n", "az-line", "-y")
    az(plant, "iot", "adr", "ns", "ca", "wait", *namespace, "-n", "az-line", "--deleted")


def self_signed(folder: Path, name: str, ca: bool = False) -> tuple[Path, Path]:
    """A certificate that signs itself, with its key, as files."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    usage = ["-addext", f"basicConstraints=critical,{'CA:TRUE,pathlen:1' if ca else 'CA:FALSE'}"]
    if ca:
        usage += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"]
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3000", "-subj", f"/CN={name}", *usage,
            "-keyout", str(key), "-out", str(certificate))
    return certificate, key


def openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def sign(folder: Path, name: str, subject: str, ca: tuple[Path, Path], extensions: str) -> tuple[Path, Path]:
    """A certificate of `ca` for a new key, as files."""
    certificate, key, request = folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.csr"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}", "-keyout", str(key), "-out", str(request))
    (folder / "extensions").write_text(extensions)
    openssl("x509", "-req", "-in", str(request), "-CA", str(ca[0]), "-CAkey", str(ca[1]), "-days", "20", "-extfile", str(folder / "extensions"), "-out", str(certificate))
    return certificate, key


def test_enrollments(plant: Plant, tmp_path: Path) -> None:
    enrollment = ["iot", "dps", "enrollment"]
    made = az(plant, *enrollment, "create", *dps(plant), "--eid", "az-one", "--at", "symmetricKey", "-d", "Az-Device", "--tags", '{"site": 1}', "--cpn", "default")
    assert (made["registrationId"], made["deviceId"], made["credentialPolicyName"]) == ("az-one", "Az-Device", "default"), made
    shown = az(plant, *enrollment, "show", *dps(plant), "--eid", "az-one", "--show-keys")
    key = shown["attestation"]["symmetricKey"]["primaryKey"]
    assert len(key) > 20
    again = plant.server.run("az", *enrollment, "create", *dps(plant), "--eid", "az-one", "--at", "symmetricKey")
    assert again.code == 1 and "already exists" in again.stderr, again
    registered = az(plant, "iot", "device", "registration", "create", *dps(plant), "--rid", "az-one")
    assert registered["registrationState"]["deviceId"] == "Az-Device", registered
    assert az(plant, *enrollment, "registration", "show", *dps(plant), "--eid", "az-one")["status"] == "assigned"
    assert plant.hub_rest("GET", "/twins/Az-Device").json()["tags"] == {"site": 1}
    changed = az(plant, *enrollment, "update", *dps(plant), "--eid", "az-one", "--ps", "disabled", "--rp", "never", "--info", '{"serial": 7}')
    assert changed["provisioningStatus"] == "disabled" and changed["optionalDeviceInformation"] == {"serial": 7}, changed
    kept = az(plant, *enrollment, "show", *dps(plant), "--eid", "az-one", "--show-keys")
    assert kept["attestation"]["symmetricKey"]["primaryKey"] == key and kept["credentialPolicyName"] == "default", kept
    cleared = az(plant, *enrollment, "update", *dps(plant), "--eid", "az-one", "--cpn", "")
    assert not cleared.get("credentialPolicyName"), cleared
    assert "az-one" in [one["registrationId"] for one in az(plant, *enrollment, "list", *dps(plant))]
    wrong = plant.server.run("az", *enrollment, "update", *dps(plant), "--eid", "az-one", "--etag", "bm9uZQ==", "--ps", "enabled")
    assert wrong.code == 1 and "412" in wrong.stderr, wrong
    az(plant, *enrollment, "registration", "delete", *dps(plant), "--eid", "az-one")
    az(plant, *enrollment, "delete", *dps(plant), "--eid", "az-one")
    assert plant.server.run("az", *enrollment, "show", *dps(plant), "--eid", "az-one").code == 3


def test_a_device_with_a_certificate_of_its_own(plant: Plant, tmp_path: Path) -> None:
    device = "az-x509"
    certificate, key = self_signed(tmp_path, device)
    other, _ = self_signed(tmp_path, f"{device}-other")
    enrollment = ["iot", "dps", "enrollment"]
    az(plant, *enrollment, "create", *dps(plant), "--eid", device, "--at", "x509", "--cp", str(certificate), "--cpn", "default")
    files = ["--cp", str(certificate), "--kp", str(key)]
    registered = az(plant, "iot", "device", "registration", "create", "--id-scope", plant.id_scope, "--rid", device, *files)
    assert registered["registrationState"]["assignedHub"] == plant.hub_host, registered
    both = az(plant, *enrollment, "update", *dps(plant), "--eid", device, "--scp", str(other))
    assert set(both["attestation"]["x509"]["clientCertificates"]) >= {"primary", "secondary"}, both
    az(plant, *enrollment, "update", *dps(plant), "--eid", device, "--rc", "true")
    refused = plant.server.run("az", "iot", "device", "registration", "create", "--id-scope", plant.id_scope, "--rid", device, *files)
    assert refused.code == 1 and "MQTT return code" in refused.stderr, refused
    az(plant, *enrollment, "update", *dps(plant), "--eid", device, "--cp", str(certificate))
    done = plant.server.run(
        "device", "run", "--id-scope", plant.id_scope, "--registration-id", device, "--certificate", str(certificate),
        "--certificate-key", str(key), "--csr", "--count", "2",
    )
    assert done.code == 0 and "2 messages acknowledged" in done.stdout, done
    az(plant, *enrollment, "delete", *dps(plant), "--eid", device)


def test_possession_of_a_ca(plant: Plant, tmp_path: Path) -> None:
    ca = self_signed(tmp_path, "az-ca", ca=True)
    certificate = ["iot", "dps", "certificate"]
    made = az(plant, *certificate, "create", *dps(plant), "--name", "az-ca", "--path", str(ca[0]))
    assert made["properties"]["isVerified"] is False, made
    coded = az(plant, *certificate, "generate-verification-code", *dps(plant), "-n", "az-ca", "--etag", made["etag"])
    code = coded["properties"]["verificationCode"]
    proof, _ = sign(tmp_path, "proof", code, ca, "basicConstraints=CA:FALSE\n")
    wrong, _ = sign(tmp_path, "wrong", "another", ca, "basicConstraints=CA:FALSE\n")
    no = plant.server.run("az", *certificate, "verify", *dps(plant), "-n", "az-ca", "--etag", coded["etag"], "--path", str(wrong))
    assert no.code == 1, no
    etag = az(plant, *certificate, "show", *dps(plant), "-n", "az-ca")["etag"]
    proven = az(plant, *certificate, "verify", *dps(plant), "-n", "az-ca", "--etag", etag, "--path", str(proof))
    assert proven["properties"]["isVerified"] is True, proven
    assert [one["name"] for one in az(plant, *certificate, "list", *dps(plant))["value"]] == ["az-ca"]
    az(plant, "iot", "dps", "enrollment-group", "create", *dps(plant), "--gid", "az-ca-group", "--ca-name", "az-ca")
    leaf, key = sign(tmp_path, "az-of-ca", "az-of-ca", ca, "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
    registered = az(
        plant, "iot", "device", "registration", "create", "--id-scope", plant.id_scope, "--rid", "az-of-ca", "--cp", str(leaf), "--kp", str(key)
    )
    assert registered["status"] == "assigned", registered
    az(plant, "iot", "dps", "enrollment-group", "delete", *dps(plant), "--gid", "az-ca-group")
    az(plant, *certificate, "delete", *dps(plant), "-n", "az-ca", "--etag", "*")


@pytest.mark.parametrize("grammar", ["policy", "ca"])
def test_a_root_of_ones_own(plant: Plant, tmp_path: Path, grammar: str) -> None:
    namespace = ["--ns", plant.namespace.rsplit("/", 1)[1], "-g", plant.group_name]
    name = f"az-byor-{grammar}"
    if grammar == "policy":
        made = az(plant, "iot", "adr", "ns", "policy", "create", *namespace, "-n", name, "--enable-byor", "true")
        request = made["properties"]["certificate"]["certificateAuthorityConfiguration"]["bringYourOwnRoot"]["certificateSigningRequest"]
    else:
        made = az(plant, "iot", "adr", "ns", "ca", "create", *namespace, "-n", name, "--type", "ICA", "--issuer-type", "External")
        request = made["properties"]["issuer"]["certificateSigningRequest"]
    assert "CERTIFICATE REQUEST" in request, made
    root = self_signed(tmp_path, "own-root", ca=True)
    (tmp_path / "issuing.csr").write_text(request)
    (tmp_path / "extensions").write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,digitalSignature,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    openssl("x509", "-req", "-in", str(tmp_path / "issuing.csr"), "-CA", str(root[0]), "-CAkey", str(root[1]), "-days", "2000",
            "-extfile", str(tmp_path / "extensions"), "-out", str(tmp_path / "issuing.pem"))
    chain = tmp_path / "chain.pem"
    chain.write_text((tmp_path / "issuing.pem").read_text() + root[0].read_text())
    words = ["iot", "adr", "ns", "policy", "activate-byor"] if grammar == "policy" else ["iot", "adr", "ns", "ca", "activate"]
    broken = plant.server.run("az", *words, *namespace, "-n", name, "--ccf", str(root[0]))
    assert broken.code == 1, broken
    active = az(plant, *words, *namespace, "-n", name, "--ccf", str(chain))
    assert "Active" in str(active["properties"]), active


def issued(plant: Plant, device: str, key: str, folder: Path, name: str) -> Chain:
    """What a device gets that registers with `key`, judged by openssl."""
    private = new_key()
    answer = device_side.register(plant.server, plant.id_scope, device, key, b64(csr(private, device)))
    assert answer.body["status"] == "assigned", answer.body
    chain = save_chain(folder, name, answer.state["issuedCertificateChain"], private)
    check_chain(folder, chain, device, private)
    return chain


def opens(plant: Plant, device: str, chain: Chain) -> bool:
    """Whether the hub lets the device in."""
    try:
        plant.connect(device, chain).close()
    except Refused:
        return False
    return True


@pytest.mark.parametrize("words", [("policy", "revoke-issuer"), ("ca", "revoke")], ids=["policy", "ca"])
def test_an_issuing_ca_is_revoked(plant: Plant, tmp_path: Path, words: tuple[str, str]) -> None:
    namespace = ["--ns", plant.namespace.rsplit("/", 1)[1], "-g", plant.group_name]
    name, device = f"az-revoked-{words[0]}", f"az-below-{words[0]}"
    az(plant, "iot", "adr", "ns", "policy", "create", *namespace, "-n", name)
    plant.synchronize()
    key = derived(enroll(plant, name, name), device)
    before = issued(plant, device, key, tmp_path, "before")
    assert opens(plant, device, before)
    unsure = plant.server.run("az", "iot", "adr", "ns", *words, *namespace, "-n", name)
    assert unsure.code != 0 and opens(plant, device, before), unsure
    az(plant, "iot", "adr", "ns", *words, *namespace, "-n", name, "-y")
    until("the hub has let the old CA go", lambda: not opens(plant, device, before), 30)
    after = issued(plant, device, key, tmp_path, "after")
    assert after.certificates[1] != before.certificates[1] and after.certificates[2] == before.certificates[2]
    until("the hub trusts what follows it", lambda: opens(plant, device, after), 30)
    az(plant, "iot", "dps", "enrollment-group", "delete", *dps(plant), "--gid", name)
    az(plant, "iot", "adr", "ns", "policy", "delete", *namespace, "-n", name, "-y")


def test_the_certificates_of_a_profile_are_revoked(plant: Plant, tmp_path: Path) -> None:
    namespace = ["--ns", plant.namespace.rsplit("/", 1)[1], "-g", plant.group_name]
    device = "az-revoked-profile"
    before = issued(plant, device, plant.key(device), tmp_path, "before")
    assert opens(plant, device, before)
    (profile,) = az(plant, "iot", "adr", "ns", "device", "auth", "list", *namespace, "--dn", device)
    az(plant, "iot", "adr", "ns", "device", "auth", "revoke-certs", *namespace, "--dn", device, "-n", profile["name"], "-y")
    assert not opens(plant, device, before)
    listed = az(plant, "iot", "adr", "ns", "certificate", "list", *namespace, "--device-id", device)
    assert [one["properties"]["state"] for one in listed] == ["Revoked"], listed
    assert opens(plant, device, issued(plant, device, plant.key(device), tmp_path, "after"))


@pytest.mark.parametrize("words", [("enrollment-group", "compute-device-key"), ("compute-device-key",)], ids=["newer", "older"])
def test_the_key_of_a_device_of_a_group(plant: Plant, words: tuple[str, ...]) -> None:
    """By the service's name, so that nobody copies the group's key about; a device registers with it."""
    device = f"az-computed-{len(words)}"
    option = "--rid" if len(words) == 2 else "--registration-id"
    key = az(plant, "iot", "dps", *words, *dps(plant), "--gid", "group", option, device)
    assert key == plant.key(device)
    answer = device_side.register(plant.server, plant.id_scope, device, key)
    assert (answer.body["status"], answer.state["deviceId"]) == ("assigned", device), answer.body
    assert plant.dps_rest("GET", f"/registrations/{device}").json()["assignedHub"] == plant.hub_host
    other = az(plant, "iot", "dps", *words, *dps(plant), "--gid", "group", option, "another")
    with pytest.raises(Refused):
        device_side.register(plant.server, plant.id_scope, device, other)
