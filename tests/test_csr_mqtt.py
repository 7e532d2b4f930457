"""The certificate exchange with paho-mqtt and plain HTTPS, exactly as reference/certificates.md 2.2 and 2.3."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

import pytest
import requests
from cryptography import x509

from lib import dps
from lib.keys import b64, check_chain, csr, derived, new_key, sas, save_chain
from lib.plant import Plant, build, enroll
from lib.published import authorities, verdict
from lib.server import Server


@pytest.mark.parametrize("variant", ["with registration id", "csr only", "csr and payload"])
def test_exchange_over_mqtt(plant: Plant, tmp_path: Path, variant: str) -> None:
    device, key = f"mqtt-{variant.replace(' ', '-')}", new_key()
    request = b64(csr(key, device))
    body: dict[str, Any] = {
        "with registration id": {"registrationId": device, "csr": request},
        "csr only": {"csr": request},
        "csr and payload": {"payload": {"site": "north"}, "csr": request},
    }[variant]
    with dps.connect(plant.server, plant.id_scope, device, plant.key(device)) as client:
        first, *rest = dps.exchange(client, body)
    assert first.status == 202 and first.body["status"] == "assigning" and first.body["operationId"]
    assert first.retry_after and first.retry_after >= 1
    last = rest[-1]
    assert last.status == 200 and last.body["status"] == "assigned", last.body
    assert last.body["operationId"] == first.body["operationId"]
    state = last.state
    assert (state["registrationId"], state["deviceId"], state["assignedHub"]) == (device, device, plant.hub_host)
    assert (state["status"], state["substatus"]) == ("assigned", "initialAssignment")
    assert state["createdDateTimeUtc"] and state["lastUpdatedDateTimeUtc"] and state["etag"]
    chain = save_chain(tmp_path, device, state["issuedCertificateChain"], key)
    check_chain(tmp_path, chain, device, key)
    with plant.connect(device, chain) as hub:
        hub.publish(f"devices/{device}/messages/events/", b"hello")


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA-2048", "RSA-3072", "Ed25519"])
def test_key_kinds(plant: Plant, tmp_path: Path, kind: str) -> None:
    device, key = f"kind-{kind.lower()}", new_key(kind)
    answer = plant.register(device, b64(csr(key, device)))
    assert answer.body["status"] == "assigned", answer.body
    chain = save_chain(tmp_path, device, answer.state["issuedCertificateChain"], key)
    check_chain(tmp_path, chain, device, key)
    with plant.connect(device, chain) as hub:
        assert hub.subscribe("$iothub/twin/res/#", 0) == 0


def test_exchange_over_https(plant: Plant, tmp_path: Path) -> None:
    device, key = "https-device", new_key()
    name = dps.resource(plant.id_scope, device)
    authorization = sas(name, plant.key(device), "registration")
    body = {"registrationId": device, "csr": b64(csr(key, device))}
    first = dps.https(plant.server, "PUT", f"{name}/register", authorization, body)
    assert first.status_code == 202, first.text
    assert first.json()["status"] == "assigning"
    assert int(first.headers["Retry-After"]) >= 1
    path = f"{name}/operations/{first.json()['operationId']}"
    answer = first
    for _ in range(100):
        answer = dps.https(plant.server, "GET", path, authorization)
        if answer.status_code != 202:
            break
        assert answer.headers["Retry-After"]
        # A poll that comes early is answered with 202 again.
        time.sleep(0.1)
    assert answer.status_code == 200 and answer.json()["status"] == "assigned", answer.text
    state = answer.json()["registrationState"]
    chain = save_chain(tmp_path, device, state["issuedCertificateChain"], key)
    check_chain(tmp_path, chain, device, key)
    looked_up = dps.https(plant.server, "POST", name, authorization, {"registrationId": device})
    assert looked_up.status_code == 200, looked_up.text
    assert looked_up.json()["assignedHub"] == plant.hub_host
    assert "issuedCertificateChain" not in looked_up.json()


def test_registration_without_csr_gives_no_chain(plant: Plant) -> None:
    answer = plant.register("plain-device")
    assert answer.body["status"] == "assigned", answer.body
    assert not answer.state.get("issuedCertificateChain")
    with plant.connect("plain-device") as hub:
        hub.publish("devices/plain-device/messages/events/$.ct=text%2Fplain", b"hello")


def test_group_without_policy_assigns_without_chain(plant: Plant) -> None:
    group_key = enroll(plant, "no-policy", None)
    device, key = "no-policy-device", new_key()
    answer = dps.register(plant.server, plant.id_scope, device, derived(group_key, device), b64(csr(key, device)))
    assert answer.body["status"] == "assigned", answer.body
    assert not answer.state.get("issuedCertificateChain")


def test_a_second_registration_keeps_the_device_and_issues_anew(plant: Plant, tmp_path: Path) -> None:
    device, key = "twice-device", new_key()
    chains = []
    for _ in range(2):
        answer = plant.register(device, b64(csr(key, device)))
        assert answer.body["status"] == "assigned", answer.body
        chains.append(save_chain(tmp_path, device, answer.state["issuedCertificateChain"], key))
    assert chains[0].leaf.serial_number != chains[1].leaf.serial_number
    devices = plant.hub_rest("GET", f"/devices/{device}")
    assert devices.status_code == 200 and devices.json()["deviceId"] == device, devices.text


def test_certificates_name_where_their_revocation_is_published(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """With --pki-port, CRLs and CA certificates are there at the URLs in the certificates, and OpenSSL accepts them."""
    server = own_server(flags=["--pki-port", "0"])
    plant = build(server, "pki")
    device, key = "pki-device", new_key()
    answer = plant.register(device, b64(csr(key, device)))
    assert answer.body["status"] == "assigned", answer.body
    chain = save_chain(tmp_path, device, answer.state["issuedCertificateChain"], key)
    check_chain(tmp_path, chain, device, key)
    for subject in chain.certificates[:2]:
        points = subject.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        url = points[0].full_name[0].value
        assert url.startswith(f"http://localhost:{server.info['pkiPort']}/"), url
    assert authorities(chain) == chain.certificates[1:]
    judged = verdict(tmp_path, chain)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert requests.get(f"http://localhost:{server.info['pkiPort']}/nothing", timeout=30).status_code == 404
