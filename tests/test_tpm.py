"""Attestation by TPM with swtpm and tpm2-tools: challenge, registration, connection to the hub (reference: iot-hub-and-dps.md A.6)."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from lib import dps
from lib.keys import b64, check_chain, csr, new_key, sas, save_chain
from lib.mqtt import Mqtt, Refused
from lib.plant import ENROLLMENT_API, Plant
from lib.tpm import Simulator, Tpm
from test_node_sdk import run

# What every released SDK sends.
API = "2019-03-31"
SERVICE_API = "2021-10-01"


def enroll(plant: Plant, device: str, tpm: dict[str, str], api: str = SERVICE_API, **more: str) -> dict[str, Any]:
    body = {"registrationId": device, "attestation": {"type": "tpm", "tpm": {"endorsementKey": tpm["endorsementKey"]}}, **more}
    url = f"https://localhost:{plant.server.https_port}/enrollments/{device}?api-version={api}"
    headers = {"Host": plant.dps_host, "Authorization": sas(plant.dps_host, plant.dps_key, "provisioningserviceowner")}
    answer = requests.put(url, json=body, headers=headers, verify=plant.server.ca, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(plant: Plant, device: str, keys: dict[str, str], authorization: str | None, api: str = API, **more: str) -> requests.Response:
    path = f"{dps.resource(plant.id_scope, device)}/register"
    return dps.https(plant.server, "PUT", path, authorization, {"registrationId": device, "tpm": keys, **more}, api)


def signed(tpm: Tpm, resource: str, policy: str | None) -> str:
    """A token under the key that the TPM holds."""
    name, expiry = quote(resource, safe=""), int(time.time()) + 3600
    signature = quote(base64.b64encode(tpm.sign(f"{name}\n{expiry}")).decode(), safe="")
    skn = f"&skn={policy}" if policy else ""
    return f"SharedAccessSignature sr={name}&sig={signature}&se={expiry}{skn}"


@pytest.mark.parametrize("kind", ["rsa", "ecc"])
def test_a_tpm_registers_and_connects(plant: Plant, tmp_path: Path, kind: str) -> None:
    device = f"tpm-{kind}"
    with Tpm(tmp_path / "one", kind) as tpm, Tpm(tmp_path / "other", kind) as other:
        enroll(plant, device, tpm.keys)
        challenge = put(plant, device, tpm.keys, None)
        assert challenge.status_code == 401, challenge.text
        assert challenge.json()["keyName"] == "registration" and challenge.json()["message"]
        with pytest.raises(AssertionError, match="tpm2_activatecredential"):
            other.activate(challenge.json()["authenticationKey"])
        tpm.activate(challenge.json()["authenticationKey"])
        answer = signed(tpm, dps.resource(plant.id_scope, device), "registration")
        first = put(plant, device, tpm.keys, answer)
        assert first.status_code == 202 and first.json()["status"] == "assigning", first.text
        operation = f"{dps.resource(plant.id_scope, device)}/operations/{first.json()['operationId']}"
        done = dps.https(plant.server, "GET", operation, answer, api=API)
        state = done.json()["registrationState"]
        assert (done.status_code, state["status"], state["assignedHub"]) == (200, "assigned", plant.hub_host), done.text
        # The same answer does not count twice.
        assert put(plant, device, tpm.keys, answer).status_code == 401
        assert put(plant, device, other.keys, None).json().get("authenticationKey") is None, "another TPM gets no challenge"
        tpm.activate(state["tpm"]["authenticationKey"])
        token = signed(tpm, f"{plant.hub_host}/devices/{device}", None)
        with Mqtt(plant.server, device, plant.username(device), token) as hub:
            hub.publish(f"devices/{device}/messages/events/", b"sealed")


def test_a_tpm_asks_for_a_certificate(plant: Plant, tmp_path: Path) -> None:
    """The request goes beside the answer to the challenge; the chain opens the hub."""
    device, key = "tpm-csr", new_key()
    request = b64(csr(key, device))
    with Tpm(tmp_path / "one") as tpm:
        enroll(plant, device, tpm.keys, ENROLLMENT_API, credentialPolicyName="default")
        challenge = put(plant, device, tpm.keys, None, dps.API, csr=request)
        assert challenge.status_code == 401 and "issuedCertificateChain" not in challenge.text, challenge.text
        tpm.activate(challenge.json()["authenticationKey"])
        answer = signed(tpm, dps.resource(plant.id_scope, device), "registration")
        first = put(plant, device, tpm.keys, answer, dps.API, csr=request)
        assert first.status_code == 202, first.text
        operation = f"{dps.resource(plant.id_scope, device)}/operations/{first.json()['operationId']}"
        done = dps.https(plant.server, "GET", operation, answer)
    state = done.json()["registrationState"]
    assert (done.status_code, state["status"], state["assignedHub"]) == (200, "assigned", plant.hub_host), done.text
    chain = save_chain(tmp_path, device, state["issuedCertificateChain"], key)
    check_chain(tmp_path, chain, device, key)
    with plant.connect(device, chain) as hub:
        hub.publish(f"devices/{device}/messages/events/", b"by its chain")


def test_a_tpm_is_not_challenged_over_mqtt(plant: Plant, tmp_path: Path) -> None:
    with Tpm(tmp_path) as tpm:
        enroll(plant, "tpm-mqtt", tpm.keys)
        tpm.activate(put(plant, "tpm-mqtt", tpm.keys, None).json()["authenticationKey"])
        answer = signed(tpm, dps.resource(plant.id_scope, "tpm-mqtt"), "registration")
        with pytest.raises(Refused):
            dps.connect(plant.server, plant.id_scope, "tpm-mqtt", "", API, password=answer)
        assert put(plant, "tpm-mqtt", tpm.keys, answer).status_code == 202, "it was refused, not used up"


def test_azures_own_client_attests_with_its_tpm(plant: Plant, tmp_path: Path) -> None:
    """azure-iot-security-tpm 1.9.3 over HTTPS: it makes its keys, answers the challenge, and signs for the hub."""
    device, expiry = "tpm-node", str(int(time.time()) + 3600)
    service = f"HostName={plant.dps_host};SharedAccessKeyName=provisioningserviceowner;SharedAccessKey={plant.dps_key}"
    names = {"DEVICE_ID": device, "EXPIRY": expiry, "DPS_CONNECTION_STRING": service, "DPS_ID_SCOPE": plant.id_scope, "HUB_HOST": plant.hub_host}
    with Tpm(tmp_path / "one") as tpm, Simulator(tpm) as simulator:
        token = run(plant, "tpm.cjs", "register", TPM_PORT=str(simulator.port), **names).strip().splitlines()[-1]
        with Mqtt(plant.server, device, plant.username(device), token) as hub:
            hub.publish(f"devices/{device}/messages/events/", b"hello")
    with Tpm(tmp_path / "other") as tpm, Simulator(tpm) as simulator:
        run(plant, "tpm.cjs", "refused", TPM_PORT=str(simulator.port), **names)
