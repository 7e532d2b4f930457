"""azure-iot-device 2.14.0, unpatched: it dials port 8883, trusts SSL_CERT_FILE, and gets the hub's address by GatewayHostName."""

from __future__ import annotations

import json
import queue
import time
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, ProvisioningDeviceClient, X509
from azure.iot.device.exceptions import CredentialError

from lib import arm as versions
from lib.keys import Chain, b64, csr, make_chain, new_key, pem, save_chain
from lib.plant import Plant
from lib.server import until


@pytest.fixture(autouse=True)
def trust(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", plant.server.ca)


def issued(plant: Plant, device: str, folder: Path) -> Chain:
    """A chain, by the exchange that this SDK cannot do yet."""
    key = new_key()
    answer = plant.register(device, b64(csr(key, device)))
    assert answer.body["status"] == "assigned", answer.body
    return save_chain(folder, device, answer.state["issuedCertificateChain"], key)


def events_of(plant: Plant, device: str) -> list[dict[str, Any]]:
    """The device's events in the hub's log."""
    done = plant.server.run("events", plant.hub_name, "--json")
    assert done.code == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [event for event in events if device in json.dumps(event)]


def use(plant: Plant, client: IoTHubDeviceClient, device: str) -> None:
    """Telemetry, twin, reported and desired properties over one connection."""
    patches: queue.Queue[dict[str, Any]] = queue.Queue()
    client.on_twin_desired_properties_patch_received = patches.put
    client.connect()
    try:
        for number in range(3):
            message = Message(f'{{"number":{number}}}', message_id=f"{device}-{number}", content_encoding="utf-8", content_type="application/json")
            message.custom_properties["level"] = "info & more"
            client.send_message(message)
        twin = client.get_twin()
        assert twin["reported"]["$version"] >= 1 and twin["desired"]["$version"] >= 1, twin
        client.patch_twin_reported_properties({"firmware": "1.2.3", "nested": {"on": True}})
        again = client.get_twin()
        assert again["reported"]["firmware"] == "1.2.3" and again["reported"]["nested"] == {"on": True}
        assert again["reported"]["$version"] == twin["reported"]["$version"] + 1
        changed = plant.hub_rest("PATCH", f"/twins/{device}", {"properties": {"desired": {"interval": 7}}})
        assert changed.status_code == 200, changed.text
        # After connecting, the SDK itself reads the twin and reports what it found as a first patch.
        while "interval" not in (patch := patches.get(timeout=30)):
            assert patch == twin["desired"], patch
        assert patch == {"interval": 7, "$version": twin["desired"]["$version"] + 1}
        seen = plant.hub_rest("GET", f"/twins/{device}").json()
        assert seen["properties"]["reported"]["firmware"] == "1.2.3"
        assert seen["properties"]["desired"]["interval"] == 7
        assert seen["connectionState"] == "Connected", seen
    finally:
        client.shutdown()
    events = events_of(plant, device)
    assert len(events) == 3, events
    assert "info & more" in str(events[0]) and "application/json" in str(events[0]), events[0]


def test_dps_with_symmetric_key_then_hub_with_sas(plant: Plant) -> None:
    device = "sdk-sas-device"
    key = plant.key(device)
    provisioning = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host="localhost", id_scope=plant.id_scope, registration_id=device, symmetric_key=key
    )
    provisioning.provisioning_payload = {"model": "x"}
    result = provisioning.register()
    assert result.status == "assigned", result
    state = result.registration_state
    assert (state.assigned_hub, state.device_id, state.sub_status) == (plant.hub_host, device, "initialAssignment")
    client = IoTHubDeviceClient.create_from_connection_string(
        f"HostName={state.assigned_hub};DeviceId={device};SharedAccessKey={key};GatewayHostName=localhost"
    )
    use(plant, client, device)


def test_hub_with_the_chain_just_issued(plant: Plant, tmp_path: Path) -> None:
    device = "sdk-x509-device"
    chain = issued(plant, device, tmp_path)
    client = IoTHubDeviceClient.create_from_x509_certificate(
        x509=X509(str(chain.certificate_file), str(chain.key_file)), hostname=plant.hub_host, device_id=device,
        gateway_hostname="localhost",
    )
    use(plant, client, device)


def by_certificate(plant: Plant, registration: str, chain: Chain, host: str = "localhost", **options: Any) -> Any:
    """A registration with a client certificate, which needs no key."""
    client = ProvisioningDeviceClient.create_from_x509_certificate(
        provisioning_host=host, id_scope=plant.id_scope, registration_id=registration,
        x509=X509(str(chain.certificate_file), str(chain.key_file)), **options,
    )
    return client.register()


def enroll_own(plant: Plant, registration: str, device: str, folder: Path) -> Chain:
    """An individual enrollment by a certificate that signs itself."""
    own = make_chain(folder, registration, None)
    certificates = {"clientCertificates": {"primary": {"certificate": own.certificate_file.read_text()}}}
    body = {"registrationId": registration, "deviceId": device, "attestation": {"type": "x509", "x509": certificates}}
    made = plant.dps_rest("PUT", f"/enrollments/{registration}", body)
    assert made.status_code == 200, made.text
    return own


def enroll_factory(plant: Plant, name: str, folder: Path) -> Chain:
    """An enrollment group of the devices below a factory's root; gives the CA of a line below that."""
    root = make_chain(folder, f"{name}-root", None, ca=True)
    group = {"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": pem(root.leaf).decode()}}}}}
    made = plant.dps_rest("PUT", f"/enrollmentGroups/{name}", group)
    assert made.status_code == 200, made.text
    return make_chain(folder, f"{name}-line", root, ca=True)


def test_dps_with_a_certificate_of_its_own_then_hub(plant: Plant, tmp_path: Path) -> None:
    registration, device = "sdk-x509-individual", "Sdk-X509-Named"
    own = enroll_own(plant, registration, device, tmp_path)
    result = by_certificate(plant, registration, own)
    assert (result.status, result.registration_state.device_id) == ("assigned", device), result
    client = IoTHubDeviceClient.create_from_x509_certificate(
        x509=X509(str(own.certificate_file), str(own.key_file)), hostname=plant.hub_host, device_id=device, gateway_hostname="localhost"
    )
    use(plant, client, device)
    with pytest.raises(Exception):
        by_certificate(plant, registration, make_chain(tmp_path, registration, None))


def test_dps_with_a_chain_of_the_factory(plant: Plant, tmp_path: Path) -> None:
    line = enroll_factory(plant, "sdk-factory", tmp_path)
    device = "sdk-x509-group"
    result = by_certificate(plant, device, make_chain(tmp_path, device, line))
    assert (result.status, result.registration_state.device_id) == ("assigned", device), result
    state = plant.dps_rest("GET", f"/registrations/{device}").json()
    assert state["assignedHub"] == plant.hub_host, state
    identity = plant.hub_rest("GET", f"/devices/{device}").json()
    assert identity["authentication"]["type"] == "certificateAuthority", identity


def test_a_wrong_group_key_is_unauthorized(plant: Plant) -> None:
    provisioning = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host="localhost", id_scope=plant.id_scope, registration_id="sdk-wrong-key", symmetric_key=plant.key("another")
    )
    with pytest.raises(Exception) as refused:
        provisioning.register()
    assert "authorized" in f"{refused.value!r} {refused.value.__cause__!r}", refused.value.__cause__


def test_a_disabled_device_is_disconnected_and_refused(plant: Plant) -> None:
    device = "sdk-disabled-device"
    assert plant.register(device).body["status"] == "assigned"
    connection = f"HostName={plant.hub_host};DeviceId={device};SharedAccessKey={plant.key(device)};GatewayHostName=localhost"
    client = IoTHubDeviceClient.create_from_connection_string(connection, connection_retry=False)
    client.connect()
    try:
        identity = plant.hub_rest("GET", f"/devices/{device}").json()
        identity["status"] = "disabled"
        changed = plant.hub_rest("PUT", f"/devices/{device}", identity, If_Match="*")
        assert changed.status_code == 200, changed.text
        until("the device is disconnected", lambda: not client.connected, 30)
        with pytest.raises(Exception):
            client.connect()
    finally:
        client.shutdown()


def test_a_module_is_refused_at_once(plant: Plant) -> None:
    device = "sdk-module-device"
    assert plant.register(device).body["status"] == "assigned"
    client = IoTHubModuleClient.create_from_connection_string(
        f"HostName={plant.hub_host};DeviceId={device};ModuleId=m1;SharedAccessKey={plant.key(device)};GatewayHostName=localhost"
    )
    started = time.monotonic()
    try:
        with pytest.raises(CredentialError):
            client.connect()
    finally:
        client.shutdown()
    assert time.monotonic() - started < 20, "the SDK tried again instead of giving up"


def test_handlers_of_what_is_not_built_break_nothing(plant: Plant) -> None:
    device = "sdk-handlers-device"
    assert plant.register(device).body["status"] == "assigned"
    client = IoTHubDeviceClient.create_from_connection_string(
        f"HostName={plant.hub_host};DeviceId={device};SharedAccessKey={plant.key(device)};GatewayHostName=localhost"
    )
    client.on_method_request_received = lambda request: None
    client.on_message_received = lambda message: None
    client.connect()
    try:
        client.send_message("still there")
        assert client.connected
    finally:
        client.shutdown()
    assert len(events_of(plant, device)) == 1


def test_a_model_is_announced(plant: Plant) -> None:
    device, model = "sdk-model-device", "dtmi:com:example:TemperatureController;1"
    assert plant.register(device).body["status"] == "assigned"
    client = IoTHubDeviceClient.create_from_connection_string(
        f"HostName={plant.hub_host};DeviceId={device};SharedAccessKey={plant.key(device)};GatewayHostName=localhost", product_info=model
    )
    client.connect()
    client.shutdown()
    assert plant.hub_rest("GET", f"/twins/{device}").json()["modelId"] == model


def test_a_certificate_at_dps_is_refused_at_once(plant: Plant, tmp_path: Path) -> None:
    device = "sdk-x509-at-dps"
    chain = issued(plant, device, tmp_path)
    client = ProvisioningDeviceClient.create_from_x509_certificate(
        provisioning_host="localhost", id_scope=plant.id_scope, registration_id=device,
        x509=X509(str(chain.certificate_file), str(chain.key_file)),
    )
    started = time.monotonic()
    with pytest.raises(Exception) as refused:
        client.register()
    assert "authorized" in f"{refused.value!r} {refused.value.__cause__!r}", refused.value.__cause__
    assert time.monotonic() - started < 20, "the SDK tried again instead of giving up"


@pytest.mark.parametrize("fault", ["KillTcp", "ShutDownMqtt"])
def test_a_fault_on_demand_and_the_sdk_recovers(plant: Plant, fault: str) -> None:
    """As the SDKs' own suites do it, which need a hub that allows it."""
    plant.arm.call("PATCH", plant.hub, versions.HUB, {"tags": {"ferrohub-fault-injection": "true"}})
    device = f"sdk-fault-{fault.lower()}"
    assert plant.register(device).body["status"] == "assigned"
    client = IoTHubDeviceClient.create_from_connection_string(
        f"HostName={plant.hub_host};DeviceId={device};SharedAccessKey={plant.key(device)};GatewayHostName=localhost"
    )
    states: list[bool] = []
    client.on_connection_state_change = lambda: states.append(client.connected)
    client.connect()
    try:
        wish = Message("wish")
        wish.custom_properties["AzIoTHub_FaultOperationType"] = fault
        wish.custom_properties["AzIoTHub_FaultOperationCloseReason"] = "boom"
        wish.custom_properties["AzIoTHub_FaultOperationDelayInSecs"] = "1"
        wish.custom_properties["AzIoTHub_FaultOperationDurationInSecs"] = "5"
        client.send_message(wish)
        until("the connection is lost and made again", lambda: states[-2:] == [False, True], 60)
        client.send_message("after")
    finally:
        client.shutdown()
        plant.arm.call("PATCH", plant.hub, versions.HUB, {"tags": {}})
    events = events_of(plant, device)
    assert len(events) == 1 and "Fault" not in str(events), events
