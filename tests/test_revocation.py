"""Revoking a device: OpenSSL judges chain and revocation lists, paho whether the device gets in, also on a resumed TLS session."""

from __future__ import annotations

import random
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest
import requests
from azure.identity import ClientSecretCredential
from azure.mgmt.deviceregistry import DeviceRegistryMgmtClient
from cryptography import x509

from lib import arm as versions
from lib.keys import b64, csr
from lib.mqtt import Refused
from lib.plant import Plant, build
from lib.published import crls, verdict
from lib.server import Server
from test_renewal_mqtt import Device

ACTION_API = versions.REGISTRY


def revoke(plant: Plant, device: str, body: Any = None) -> requests.Response:
    answer = plant.arm.send("POST", f"{plant.namespace}/devices/{device}/revoke", ACTION_API, {} if body is None else body)
    assert answer.status_code in (200, 202), answer.text
    return answer


def outcome(plant: Plant, answer: requests.Response) -> dict[str, Any]:
    """Follows an accepted revocation as an SDK does: the status to its end, then the answer at its `Location`."""
    plant.arm.finish(answer)
    last = plant.arm.session.get(answer.headers["Location"], headers={"Authorization": f"Bearer {plant.arm.bearer}"}, timeout=60)
    assert last.status_code == 200, last.text
    return dict(last.json())


def test_a_revoked_device(own_server: Callable[..., Server], tmp_path: Path) -> None:
    plant = build(own_server(flags=["--pki-port", "0"]), "revoke")
    device = Device(plant, tmp_path, "revoked-device").provision()
    chains = [device.chain]
    with device.connect().subscribe() as client:
        chains.append(client.issued(client.accepted()))
        for chain in chains:
            good = verdict(tmp_path, chain)
            assert good.returncode == 0, good.stdout + good.stderr
        asked = client.accepted()
        begun = time.monotonic()
        answer = revoke(plant, device.name, {"disable": False})
        assert client.mqtt.closed.wait(5) and time.monotonic() - begun < 3, "the connection ends at once"
        assert answer.status_code == 202 and answer.headers["Azure-AsyncOperation"] and answer.headers["Retry-After"]
        assert outcome(plant, answer) == {"result": "Succeeded"}
    for chain in chains:
        with pytest.raises(Refused) as refused:
            device.connect(chain=chain)
        assert refused.value.code == 5
        bad = verdict(tmp_path, chain)
        assert bad.returncode != 0 and "certificate revoked" in bad.stdout + bad.stderr, bad.stdout + bad.stderr
    text = subprocess.run(["openssl", "crl", "-in", "crls.pem", "-noout", "-text"], cwd=tmp_path, text=True, capture_output=True)
    assert text.returncode == 0 and text.stdout.count("Serial Number:") == 2, text.stdout
    # The way back is a new registration; what was pending is gone.
    device.provision()
    good = verdict(tmp_path, device.chain)
    assert good.returncode == 0, good.stdout + good.stderr
    with device.connect().subscribe() as client:
        client.silent(1.5)
        assert client.issued(client.accepted()).leaf != chains[1].leaf
    assert asked.status == 202


def test_a_resumed_tls_session_does_not_let_a_revoked_device_in(own_server: Callable[..., Server], tmp_path: Path) -> None:
    plant = build(own_server(), "resume")
    device = Device(plant, tmp_path, "resuming-device").provision()
    context = ssl.create_default_context(cafile=plant.server.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(device.chain.certificate_file, device.chain.key_file)

    def connack(session: ssl.SSLSession | None) -> tuple[int | None, ssl.SSLSession | None, bool]:
        raw = socket.create_connection(("localhost", plant.server.mqtt_port), timeout=30)
        with context.wrap_socket(raw, server_hostname=plant.hub_host, session=session) as tls:
            user = f"{plant.hub_host}/{device.name}/?api-version=2021-04-12".encode()
            name = device.name.encode()
            body = b"\x00\x04MQTT\x04\x82\x00\x3c" + len(name).to_bytes(2, "big") + name + len(user).to_bytes(2, "big") + user
            tls.sendall(b"\x10" + bytes([len(body) % 128 | 128, len(body) // 128] if len(body) > 127 else [len(body)]) + body)
            answer = tls.recv(4)
            return (answer[3] if len(answer) == 4 else None), tls.session, tls.session_reused

    code, session, reused = connack(None)
    assert (code, reused) == (0, False)
    code, session, reused = connack(session)
    assert code == 0
    resumed = reused
    assert outcome(plant, revoke(plant, device.name)) == {"result": "Succeeded"}
    code, _, reused = connack(session)
    assert code == 5 and reused == resumed


def test_disabling_with_it(own_server: Callable[..., Server], tmp_path: Path) -> None:
    plant = build(own_server(), "disable")
    device = Device(plant, tmp_path, "disabled-device").provision()
    assert outcome(plant, revoke(plant, device.name, {"disable": True})) == {"result": "Succeeded"}
    shown = plant.arm.get(f"{plant.namespace}/devices/{device.name}", versions.REGISTRY)
    assert shown["properties"]["enabled"] is False
    assert plant.hub_rest("GET", f"/devices/{device.name}").json()["status"] == "disabled"
    answer = plant.register(device.name, b64(csr(device.key, device.name)))
    assert (answer.body["status"], answer.state["errorCode"]) == ("failed", 403_012), answer.body
    assert plant.register("plain-device").body["status"] == "assigned"
    nothing = revoke(plant, "plain-device")
    assert nothing.status_code == 200 and nothing.json()["result"] == "Failed", nothing.text
    assert nothing.json()["error"]["message"].startswith("No active credential")


def test_by_the_management_sdk_and_by_our_az(own_server: Callable[..., Server], tmp_path: Path) -> None:
    plant = build(own_server(), "clients")
    owner, url, ca = plant.server.owner, plant.server.url, plant.server.ca
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=url, disable_instance_discovery=True, connection_verify=ca
    )
    registry = DeviceRegistryMgmtClient(
        credential, owner["subscriptionId"], base_url=url, credential_scopes=[f"{url}/.default"], connection_verify=ca
    )
    group, namespace = plant.group_name, plant.namespace.rsplit("/", 1)[1]
    by_sdk, by_az = (Device(plant, tmp_path, name).provision() for name in ("by-sdk", "by-az"))
    poller = registry.namespace_devices.begin_revoke(group, namespace, by_sdk.name, {"disable": False})
    poller.result(timeout=60)
    assert poller.status() == "Succeeded"
    place = ["--namespace", namespace, "--resource-group", group]
    plant.server.az("iot", "adr", "ns", "device", "revoke", "--name", by_az.name, *place, "--disable", "--yes")
    for device in (by_sdk, by_az):
        assert refused(device)
    assert plant.hub_rest("GET", f"/devices/{by_az.name}").json()["status"] == "disabled"
    assert plant.register("by-key").body["status"] == "assigned"
    failed = plant.server.run("az", "iot", "adr", "ns", "device", "revoke", "--name", "by-key", *place, "--yes")
    assert failed.code == 1 and "No active credential" in failed.stderr, failed


ROUNDS, DEVICES = 4, 6


def test_killed_at_random_moments(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """No renewal is lost after its 202, no serial number is used twice, and what was revoked stays so."""
    with socket.socket() as probe:
        # Certificates name the port, so it must outlive the process.
        probe.bind(("127.0.0.1", 0))
        pki_port = probe.getsockname()[1]
    server = own_server(flags=["--pki-port", str(pki_port)])
    plant = build(server, "killed")
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    devices = [Device(plant, tmp_path, f"killed-{number}").provision() for number in range(DEVICES)]
    doomed = [Device(plant, tmp_path, f"doomed-{number}").provision() for number in range(ROUNDS)]
    serials = {device.chain.leaf.serial_number for device in devices + doomed}
    accepted: dict[str, Any] = {}
    for round_number in range(ROUNDS):
        clients = [device.connect(clean=False).subscribe() for device in devices]
        for device, client in zip(devices, clients):
            if device.name not in accepted:
                accepted[device.name] = client.accepted()
        answered: list[int] = []

        def take_away(name: str = doomed[round_number].name) -> None:
            try:
                answered.append(plant.arm.send("POST", f"{plant.namespace}/devices/{name}/revoke", ACTION_API, {}).status_code)
            except requests.RequestException:
                pass

        worker = threading.Thread(target=take_away)
        worker.start()
        time.sleep(chance.uniform(0.0, 1.6))
        server.kill()
        worker.join()
        for client in clients:
            client.mqtt.client.loop_stop()
        server.start()
        plant.arm = type(plant.arm)(server)
        for device in devices:
            with device.connect(clean=False) as client:
                assert client.mqtt.session_present
                chain = client.issued(accepted.pop(device.name))
                # An outcome of before may come once more; a new one has a new serial number.
                serials.add(chain.leaf.serial_number)
                device.chain = chain
        if answered == [202]:
            with pytest.raises(Refused):
                doomed[round_number].connect()
    assert len(serials) == DEVICES + ROUNDS + ROUNDS * DEVICES
    for device in devices:
        with device.connect() as client:
            client.mqtt.publish(f"devices/{device.name}/messages/events/", b"alive")
    gone = [device for device in doomed if refused(device)]
    assert gone, "every kill came before the revocation: nothing was shown"

    def listed() -> bool:
        text = x509.load_pem_x509_crl(crls(devices[0].chain))
        return all(text.get_revoked_certificate_by_serial_number(device.chain.leaf.serial_number) for device in gone)

    deadline = time.monotonic() + 60
    while not listed():
        assert time.monotonic() < deadline, "an operation that was cut off was not finished"
        time.sleep(0.5)


def refused(device: Device) -> bool:
    try:
        device.connect().mqtt.close()
    except Refused:
        return True
    return False
