"""Names that look like others': a common name with a NUL in it, rightly signed, and an issuing CA that is called as another namespace's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import ProvisioningDeviceClient, X509

from lib import arm as versions
from lib import dps
from lib.keys import Chain, b64, csr, derived, make_chain, new_key, save_chain
from lib.mqtt import Mqtt, Refused
from lib.plant import LOCATION, Plant, build, enroll
from lib.server import Server

NOT_AUTHORIZED = 5
NAMES = ["pump\0.evil", "pump\0", "\0pump", "pump\0\0"]
SUBJECT = "CN=Shared Issuing"


def factory_group(plant: Plant, name: str, folder: Path) -> Chain:
    """A group of devices whose certificates `name` signs."""
    root = make_chain(folder, name, None, ca=True)
    signing = {"signingCertificates": {"primary": {"certificate": root.certificate_file.read_text()}}}
    made = plant.dps_rest("PUT", f"/enrollmentGroups/{name}", {"enrollmentGroupId": name, "attestation": {"type": "x509", "x509": signing}})
    assert made.status_code == 200, made.text
    return root


def attested(plant: Plant, registration: str, chain: Chain) -> None:
    """The device's connection to DPS, proven by its certificate."""
    user = f"{dps.resource(plant.id_scope, registration)}/api-version={dps.API}"
    Mqtt(plant.server, registration, user, None, chain).close()


def test_a_common_name_with_a_nul_is_no_shorter_one(plant: Plant, tmp_path: Path) -> None:
    root = factory_group(plant, "nul-factory", tmp_path)
    for number, name in enumerate(NAMES):
        forged = make_chain(tmp_path, f"forged-{number}", root, common_name=name)
        for registration in ("pump", ".evil"):
            with pytest.raises(Refused) as refused:
                attested(plant, registration, forged)
            assert refused.value.code == NOT_AUTHORIZED, repr(name)
    attested(plant, "pump", make_chain(tmp_path, "pump", root))


def test_a_request_with_a_nul_is_for_nobody(plant: Plant) -> None:
    for name in NAMES:
        answer = plant.register("pump-nul", b64(csr(new_key(), name.replace("pump", "pump-nul"))))
        code, told = (answer.body.get("errorCode") or answer.state["errorCode"]), str(answer.body)
        assert code // 1000 in (400, 401) and not answer.state.get("issuedCertificateChain"), told
        assert "\0" not in told
    assert plant.hub_rest("GET", "/devices/pump-nul").status_code == 404


def test_a_certificate_with_a_nul_opens_no_hub(plant: Plant, tmp_path: Path) -> None:
    """A factory whose CA the hub trusts signs for somebody else."""
    device, root = "nul-hub-device", make_chain(tmp_path, "nul-hub-factory", None, ca=True)
    certificate: dict[str, Any] = {"properties": {"certificate": b64(root.certificate_file.read_bytes()), "isVerified": True}}
    plant.arm.put(f"{plant.hub}/certificates/nul-factory", versions.HUB, certificate)
    body = {"deviceId": device, "authentication": {"type": "certificateAuthority"}}
    assert plant.hub_rest("PUT", f"/devices/{device}", body).status_code == 200
    for number, name in enumerate(NAMES):
        forged = make_chain(tmp_path, f"hub-forged-{number}", root, common_name=name.replace("pump", device))
        with pytest.raises(Refused) as refused:
            plant.connect(device, forged).close()
        assert refused.value.code == NOT_AUTHORIZED, repr(name)
    plant.connect(device, make_chain(tmp_path, device, root)).close()


def test_an_issuing_ca_of_the_same_name_in_another_namespace(server: Server, tmp_path: Path) -> None:
    """Both hubs know an issuing CA by that name; each lets in what its own namespace's signed, in every order of coming."""
    device, chains = "namesake", []
    plants = [build(server, name) for name in ("same-a", "same-b")]
    for plant in plants:
        authority = {"certificateAuthorityConfiguration": {"keyType": "ECC", "subject": SUBJECT}}
        policy = f"{plant.namespace}/credentials/default/policies/shared"
        plant.arm.put(policy, versions.REGISTRY, {"location": LOCATION, "properties": {"certificate": authority}})
        plant.synchronize()
        key, group_key = new_key(), enroll(plant, "shared", "shared")
        answer = dps.register(server, plant.id_scope, device, derived(group_key, device), b64(csr(key, device)))
        assert answer.body["status"] == "assigned", answer.body
        chains.append(save_chain(tmp_path, f"{plant.prefix}-{device}", answer.state["issuedCertificateChain"], key))
    first, second = (chain.certificates[1] for chain in chains)
    assert first.subject == second.subject and first.subject.rfc4514_string() == SUBJECT and first.public_key() != second.public_key()
    for plant, own, foreign in ((plants[0], chains[0], chains[1]), (plants[1], chains[1], chains[0])):
        plant.connect(device, own).close()
        with pytest.raises(Refused) as refused:
            plant.connect(device, foreign).close()
        assert refused.value.code == NOT_AUTHORIZED
        plant.connect(device, own).close()


def test_a_factory_of_the_same_name_attests_nobody_elses_devices(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", plant.server.ca)
    (tmp_path / "mine").mkdir()
    (tmp_path / "theirs").mkdir()
    mine = factory_group(plant, "namesake-factory", tmp_path / "mine")
    theirs = make_chain(tmp_path / "theirs", "namesake-factory", None, ca=True)
    with pytest.raises(Refused):
        attested(plant, "namesake-device", make_chain(tmp_path, "namesake-device", theirs))
    own = make_chain(tmp_path / "mine", "namesake-device", mine)
    client = ProvisioningDeviceClient.create_from_x509_certificate(
        provisioning_host="localhost", id_scope=plant.id_scope, registration_id="namesake-device",
        x509=X509(str(own.certificate_file), str(own.key_file)),
    )
    assert client.register().status == "assigned"
