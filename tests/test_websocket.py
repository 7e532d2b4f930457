"""MQTT over WebSocket on the HTTPS port: azure-iot-device 2.14.0 and paho-mqtt, unpatched. Both dial port 443 of the service's name; the
fixture `names` stands for a hosts file and a port forward."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import requests
from azure.iot.device import IoTHubDeviceClient, Message, ProvisioningDeviceClient, X509

from lib import arm as versions
from lib.dps import API, DEVICE_HOST, exchange, resource
from lib.keys import b64, csr, make_chain, new_key, sas, save_chain
from lib.mqtt import Mqtt, Refused
from lib.plant import Plant
from test_device_sdk import by_certificate, enroll_factory, enroll_own, events_of, issued, use

PATH = "/$iothub/websocket"


@pytest.fixture(autouse=True)
def names(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name below localhost is this machine, and port 443 is the server's. Trust goes by SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", plant.server.ca)
    dial = socket.create_connection

    def here(address: tuple[str, int], *more: Any, **options: Any) -> socket.socket:
        host, port = address
        forwarded = plant.server.https_port if port == 443 else port
        return dial(("127.0.0.1" if host.endswith(".localhost") else host, forwarded), *more, **options)

    monkeypatch.setattr(socket, "create_connection", here)


class WebSocketMqtt(Mqtt):
    """As its parent, over WebSocket."""

    transport = "websockets"

    def __init__(self, plant: Plant, host: str, path: str, client_id: str, username: str, password: str | None, **more: Any) -> None:
        self.path = path
        super().__init__(plant.server, client_id, username, password, host=host, port=443, **more)

    def prepare(self) -> None:
        self.client.ws_set_options(path=self.path)


def test_hub_with_sas(plant: Plant) -> None:
    device = "ws-sas-device"
    assert plant.register(device).body["status"] == "assigned"
    client = IoTHubDeviceClient.create_from_connection_string(
        f"HostName={plant.hub_host};DeviceId={device};SharedAccessKey={plant.key(device)}", websockets=True
    )
    use(plant, client, device)


def test_dps_then_hub_by_a_name_of_no_service(plant: Plant) -> None:
    device = "ws-gateway-device"
    provisioning = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host="localhost", id_scope=plant.id_scope, registration_id=device, symmetric_key=plant.key(device), websockets=True
    )
    result = provisioning.register()
    assert (result.status, result.registration_state.assigned_hub) == ("assigned", plant.hub_host)
    client = IoTHubDeviceClient.create_from_connection_string(
        f"HostName={plant.hub_host};DeviceId={device};SharedAccessKey={plant.key(device)};GatewayHostName=localhost", websockets=True
    )
    use(plant, client, device)


def test_hub_with_the_chain_just_issued(plant: Plant, tmp_path: Path) -> None:
    device = "ws-x509-device"
    chain = issued(plant, device, tmp_path)
    client = IoTHubDeviceClient.create_from_x509_certificate(
        x509=X509(str(chain.certificate_file), str(chain.key_file)), hostname=plant.hub_host, device_id=device, websockets=True
    )
    use(plant, client, device)


def test_dps_with_a_certificate_of_its_own_then_hub(plant: Plant, tmp_path: Path) -> None:
    """By the name of the service, since a certificate is asked for on device names only."""
    registration, device = "ws-x509-individual", "Ws-X509-Named"
    own = enroll_own(plant, registration, device, tmp_path)
    result = by_certificate(plant, registration, own, DEVICE_HOST, websockets=True)
    assert (result.status, result.registration_state.device_id) == ("assigned", device), result
    client = IoTHubDeviceClient.create_from_x509_certificate(
        x509=X509(str(own.certificate_file), str(own.key_file)), hostname=plant.hub_host, device_id=device, websockets=True
    )
    use(plant, client, device)
    with pytest.raises(Exception) as refused:
        by_certificate(plant, registration, make_chain(tmp_path, registration, None), DEVICE_HOST, websockets=True)
    assert "authorized" in f"{refused.value!r} {refused.value.__cause__!r}", refused.value.__cause__


def test_dps_with_a_chain_of_the_factory(plant: Plant, tmp_path: Path) -> None:
    line, device = enroll_factory(plant, "ws-factory", tmp_path), "ws-x509-group"
    result = by_certificate(plant, device, make_chain(tmp_path, device, line), DEVICE_HOST, websockets=True)
    assert (result.status, result.registration_state.device_id) == ("assigned", device), result
    identity = plant.hub_rest("GET", f"/devices/{device}").json()
    assert identity["authentication"]["type"] == "certificateAuthority", identity


@pytest.mark.parametrize(
    ("form", "path"), [("plain", PATH), ("root", "/"), ("query", "/$IotHub/WebSocket?iothub-no-client-cert=true")]
)
def test_a_certificate_request_at_dps(plant: Plant, tmp_path: Path, form: str, path: str) -> None:
    """The exchange over the sibling paths; C# devices use the root."""
    device = f"ws-csr-{form}"
    name, key = resource(plant.id_scope, device), new_key()
    username = f"{name}/api-version={API}&ClientVersion=ferrohub-tests%2F1"
    password = sas(name, plant.key(device), "registration")
    with WebSocketMqtt(plant, DEVICE_HOST, path, device, username, password) as client:
        client.subscribe("$dps/registrations/res/#")
        answers = exchange(client, {"registrationId": device, "csr": b64(csr(key, device))})
    assert answers[-1].body["status"] == "assigned", answers[-1].body
    chain = save_chain(tmp_path, device, answers[-1].state["issuedCertificateChain"], key)
    with WebSocketMqtt(plant, plant.hub_host, PATH, device, plant.username(device), None, chain=chain) as client:
        client.publish(f"devices/{device}/messages/events/", "over a web socket")
    assert len(events_of(plant, device)) == 1
    # Whoever says that its certificate does not count has shown none.
    with pytest.raises(Refused) as refused:
        WebSocketMqtt(plant, plant.hub_host, f"{PATH}?iothub-no-client-cert=true", device, plant.username(device), None, chain=chain)
    assert refused.value.code == 5


def test_a_large_message_and_many_small_ones(plant: Plant) -> None:
    device = "ws-sizes"
    assert plant.register(device).body["status"] == "assigned"
    password = sas(f"{plant.hub_host}/devices/{device}", plant.key(device))
    with WebSocketMqtt(plant, plant.hub_host, PATH, device, plant.username(device), password) as client:
        topic = f"devices/{device}/messages/events/"
        client.publish(topic, b"x" * 200_000)
        for _ in range(200):
            client.publish(topic, "small", qos=0)
        client.publish(topic, "last")
    assert len(events_of(plant, device)) == 202


def test_wrong_credentials_and_what_is_no_mqtt(plant: Plant) -> None:
    with pytest.raises(Refused) as refused:
        WebSocketMqtt(plant, plant.hub_host, PATH, "nobody", plant.username("nobody"), sas(plant.hub_host, plant.key("other")))
    assert refused.value.code == 5
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Host": f"{plant.hub_host}:{plant.server.https_port}",
    }
    for protocol, status, word in (("AMQPWSB10", 501, "AMQP"), ("", 400, "mqtt"), ("mqttv5", 400, "mqttv5")):
        headers = {**upgrade, "Sec-WebSocket-Protocol": protocol} if protocol else upgrade
        answer = requests.get(f"https://localhost:{plant.server.https_port}{PATH}", headers=headers, verify=plant.server.ca, timeout=30)
        assert answer.status_code == status and word in answer.json()["Message"], answer.text


def test_a_disabled_device_is_disconnected(plant: Plant) -> None:
    device = "ws-disabled"
    assert plant.register(device).body["status"] == "assigned"
    password = sas(f"{plant.hub_host}/devices/{device}", plant.key(device))
    client = WebSocketMqtt(plant, plant.hub_host, PATH, device, plant.username(device), password)
    identity = plant.hub_rest("GET", f"/devices/{device}").json()
    identity["status"] = "disabled"
    assert plant.hub_rest("PUT", f"/devices/{device}", identity, If_Match="*").status_code == 200
    assert client.closed.wait(30)
    client.close()


def test_rules_for_addresses_and_tls_hold(plant: Plant) -> None:
    device = "ws-rules"
    assert plant.register(device).body["status"] == "assigned"
    password = sas(f"{plant.hub_host}/devices/{device}", plant.key(device))
    arguments = (plant, plant.hub_host, PATH, device, plant.username(device), password)
    rules = [{"filterName": "nobody", "action": "Reject", "ipMask": "127.0.0.0/8"}]
    try:
        for closed in ({"publicNetworkAccess": "Disabled"}, {"publicNetworkAccess": "Enabled", "ipFilterRules": rules}):
            plant.arm.call("PATCH", plant.hub, versions.HUB, {"properties": closed})
            with pytest.raises(Refused) as refused:
                WebSocketMqtt(*arguments)
            assert refused.value.code == 5
    finally:
        plant.arm.call("PATCH", plant.hub, versions.HUB, {"properties": {"publicNetworkAccess": "Enabled", "ipFilterRules": []}})
    WebSocketMqtt(*arguments).close()


def test_upgrades_without_end_keep_no_device_out(plant: Plant) -> None:
    """400 from one address that are upgraded and say nothing, and 400 half-said ones: a device from another address is served."""
    context = ssl.create_default_context(cafile=plant.server.ca)
    head = (
        f"GET {PATH} HTTP/1.1\r\nHost: {plant.hub_host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n"
    )
    held = []
    for number in range(400):
        try:
            plain = socket.create_connection(("127.0.0.1", plant.server.https_port), 10, ("127.0.0.9", 0))
            secure = context.wrap_socket(plain, server_hostname=plant.hub_host)
            secure.sendall((head + "\r\n" if number % 2 else head).encode())
            held.append(secure)
        except OSError:
            # What gives way to the next one.
            pass
    device = "ws-among-many"
    started = time.monotonic()
    assert plant.register(device).body["status"] == "assigned"
    password = sas(f"{plant.hub_host}/devices/{device}", plant.key(device))
    with WebSocketMqtt(plant, plant.hub_host, PATH, device, plant.username(device), password) as client:
        client.publish(f"devices/{device}/messages/events/", "among many")
    assert time.monotonic() - started < 20
    for secure in held:
        secure.close()
