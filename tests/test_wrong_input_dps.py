"""Wrong input at registration: each gets a clear answer, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

import pytest
from cryptography import x509

from lib import arm as versions
from lib import dps, raw
from lib.arm import Arm
from lib.keys import Chain, PrivateKey, b64, check_chain, csr, derived, new_key, sas, save_chain
from lib.mqtt import Mqtt, Refused
from lib.plant import Plant, build, enroll
from lib.server import Server
from lib.shim import compile_shim

KEY = new_key()
DAY = 86_400


def refusal(answer: dps.Answer) -> tuple[int, str]:
    """Code and sentence of a registration that was refused, at once or at its end."""
    if answer.status >= 400:
        return int(answer.body["errorCode"]), str(answer.body["message"])
    assert answer.body["status"] == "failed", f"not refused: {answer}"
    return int(answer.state["errorCode"]), str(answer.state["errorMessage"])


def assert_nothing_left(plant: Plant, device: str) -> None:
    """Neither a hub identity nor a registry device nor an assigned registration."""
    found = plant.hub_rest("GET", f"/devices/{device}")
    assert found.status_code == 404, found.text
    devices = plant.arm.get(f"{plant.namespace}/devices", versions.REGISTRY)["value"]
    assert device not in [one["name"] for one in devices]
    registration = plant.dps_rest("GET", f"/registrations/{device}")
    assert registration.status_code == 404 or registration.json()["status"] != "assigned", registration.text


def broken_signature(device: str) -> bytes:
    request = bytearray(csr(KEY, device))
    request[-3] ^= 1
    return bytes(request)


WRONG_REQUESTS: dict[str, tuple[Any, str]] = {
    "not-base64": (lambda device: "!!! not base64 !!!", "base64"),
    "not-a-csr": (lambda device: b64(b"no certificate request at all"), "PKCS#10"),
    "bad-signature": (lambda device: b64(broken_signature(device)), "signature"),
    "other-name": (lambda device: b64(csr(KEY, "another-device")), "another-device"),
    "too-long": (lambda device: b64(csr(KEY, device) + bytes(7000)), "8192"),
    "a-number": (lambda device: 17, "csr"),
    "empty": (lambda device: "", "csr"),
    "weak-key": (lambda device: b64(csr(new_key("RSA-1024"), device)), "1024"),
}


@pytest.mark.parametrize("wrong", WRONG_REQUESTS)
def test_certificate_requests_over_mqtt(plant: Plant, wrong: str) -> None:
    device = f"wrong-mqtt-{wrong}"
    make, word = WRONG_REQUESTS[wrong]
    with dps.connect(plant.server, plant.id_scope, device, plant.key(device)) as client:
        answers = dps.exchange(client, {"registrationId": device, "csr": make(device)})
        code, message = refusal(answers[-1])
        assert 400_000 <= code < 401_000, (code, message)
        assert word.lower() in message.lower(), message
        assert_nothing_left(plant, device)
        # The connection still serves: the same device asks again, properly.
        again = dps.exchange(client, {"csr": b64(csr(KEY, device))}, first_request=50)[-1]
    assert again.body["status"] == "assigned", again.body


@pytest.mark.parametrize("wrong", WRONG_REQUESTS)
def test_certificate_requests_over_https(plant: Plant, wrong: str) -> None:
    device = f"wrong-https-{wrong}"
    make, word = WRONG_REQUESTS[wrong]
    name = dps.resource(plant.id_scope, device)
    authorization = sas(name, plant.key(device), "registration")
    answer = dps.https(plant.server, "PUT", f"{name}/register", authorization, {"registrationId": device, "csr": make(device)})
    assert answer.status_code == 400, answer.text
    assert answer.headers["x-ms-error-code"] == str(answer.json()["errorCode"])
    assert word.lower() in answer.json()["message"].lower(), answer.text
    assert_nothing_left(plant, device)


def test_a_request_to_be_a_ca_is_issued_as_a_leaf(plant: Plant, tmp_path: Path) -> None:
    device, key = "wants-to-be-a-ca", new_key()
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    request = csr(key, device, [x509.BasicConstraints(ca=True, path_length=3), usage])
    answer = plant.register(device, b64(request))
    assert answer.body["status"] == "assigned", answer.body
    check_chain(tmp_path, save_chain(tmp_path, device, answer.state["issuedCertificateChain"], key), device, key)


@pytest.mark.parametrize("body", [b"{", b"[1,2]", b"\xff\xfe", b'"text"', b"{}" + b" " * 600_000], ids=["open", "array", "bytes", "text", "long"])
def test_bodies_over_https(plant: Plant, body: bytes) -> None:
    name = dps.resource(plant.id_scope, "wrong-body")
    answer = dps.https(plant.server, "PUT", f"{name}/register", sas(name, plant.key("wrong-body"), "registration"), raw=body)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["errorCode"] // 1000 == answer.status_code and answer.json()["message"], answer.text


def test_a_body_for_another_registration(plant: Plant) -> None:
    with dps.connect(plant.server, plant.id_scope, "one-device", plant.key("one-device")) as client:
        code, message = refusal(dps.exchange(client, {"registrationId": "another-device"})[-1])
    assert code // 1000 in (400, 401) and "one-device" in message, (code, message)


def test_unknown_id_scope(plant: Plant) -> None:
    with pytest.raises(Refused) as refused:
        dps.connect(plant.server, "0ne00000000", "some-device", plant.key("some-device"))
    assert refused.value.code == 5
    name = dps.resource("0ne00000000", "some-device")
    answer = dps.https(plant.server, "PUT", f"{name}/register", sas(name, plant.key("some-device"), "registration"), {})
    assert answer.status_code in (401, 404) and answer.json()["errorCode"] // 1000 == answer.status_code, answer.text


def test_unknown_registration(plant: Plant) -> None:
    """A device with a good key that never registered."""
    device = "never-registered"
    name = dps.resource(plant.id_scope, device)
    for method, path in (("POST", name), ("GET", f"{name}/operations/4.0.00000000-0000-0000-0000-000000000000")):
        answer = dps.https(plant.server, method, path, sas(name, plant.key(device), "registration"), {} if method == "POST" else None)
        assert answer.status_code == 404 and answer.json()["errorCode"] // 1000 == 404 and answer.json()["message"], answer.text
    assert plant.dps_rest("GET", f"/registrations/{device}").status_code == 404


REGISTER = raw.text("$dps/registrations/PUT/iotdps-register/?$rid=1") + b"\0\1"
WRONG_PACKETS = {
    "no-request-id": raw.packet(0x32, raw.text("$dps/registrations/PUT/iotdps-register/") + b"\0\1{}"),
    "verb": raw.packet(0x32, raw.text("$dps/registrations/PUT/iotdps-nonsense/?$rid=1") + b"\0\1{}"),
    "hub-topic": raw.packet(0x32, raw.text("devices/packet-device/messages/events/") + b"\0\1x"),
    "poll-without-operation": raw.packet(0x32, raw.text("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1") + b"\0\1"),
    "wildcard": raw.packet(0x32, raw.text("$dps/registrations/+/iotdps-register/?$rid=1") + b"\0\1{}"),
    "large": raw.packet(0x32, REGISTER + b"{}" + b" " * 200_000),
    "qos2": raw.packet(0x34, REGISTER + b"{}"),
    "cut": raw.packet(0x32, b"\xff\xff"),
    "reserved": raw.packet(0xF0, b""),
    "subscribe-empty": raw.packet(0x82, b"\0\1"),
    "second-connect": raw.connect_packet("packet-device", "x"),
}


@pytest.mark.parametrize("wrong", WRONG_PACKETS)
def test_wrong_packets(plant: Plant, wrong: str) -> None:
    device = f"packet-{wrong}"
    name = dps.resource(plant.id_scope, device)
    connection = raw.dial(plant.server, raw.context(plant.server))
    connection.sendall(raw.connect_packet(device, f"{name}/api-version={dps.API}", sas(name, plant.key(device), "registration")))
    assert raw.connack(connection) == 0
    connection.sendall(WRONG_PACKETS[wrong])
    assert raw.ends(connection), "the connection goes on"
    assert_nothing_left(plant, device)
    assert plant.register(device).body["status"] == "assigned"


def credentials(plant: Plant, device: str) -> dict[str, str]:
    """Passwords that do not let `device` in."""
    name = dps.resource(plant.id_scope, device)
    return {
        "wrong key": sas(name, plant.key("another-device"), "registration"),
        "group key": sas(name, plant.group_key, "registration"),
        "expired": sas(name, plant.key(device), "registration", lifetime=-600),
        "other device": sas(dps.resource(plant.id_scope, "another-device"), plant.key("another-device"), "registration"),
        "no signature": f"SharedAccessSignature sr={plant.id_scope}",
        "nonsense": "password",
    }


@pytest.mark.parametrize("wrong", ["wrong key", "group key", "expired", "other device", "no signature", "nonsense"])
def test_credentials(plant: Plant, wrong: str) -> None:
    device = "unauthorized-device"
    password = credentials(plant, device)[wrong]
    with pytest.raises(Refused) as refused:
        dps.connect(plant.server, plant.id_scope, device, plant.key(device), password=password)
    assert refused.value.code in (4, 5)
    answer = dps.https(plant.server, "PUT", f"{dps.resource(plant.id_scope, device)}/register", password, {})
    assert answer.status_code == 401 and answer.json()["errorCode"] // 1000 == 401, answer.text
    assert_nothing_left(plant, device)


def test_no_credential(plant: Plant) -> None:
    name = dps.resource(plant.id_scope, "no-credential")
    answer = dps.https(plant.server, "PUT", f"{name}/register", None, {})
    assert answer.status_code == 401, answer.text
    with pytest.raises(Refused):
        Mqtt(plant.server, "no-credential", f"{name}/api-version={dps.API}", None)


@pytest.mark.parametrize("device", ["a" * 129, "ends-with.", "with space", "with*star", "umläut"])
def test_registration_ids(plant: Plant, device: str) -> None:
    with pytest.raises(Refused) as refused:
        dps.connect(plant.server, plant.id_scope, device, plant.key(device))
    assert refused.value.code in (2, 4, 5)
    path = f"{plant.id_scope}/registrations/{quote(device, safe='')}"
    authorization = sas(dps.resource(plant.id_scope, device), plant.key(device), "registration")
    answer = dps.https(plant.server, "PUT", f"{path}/register", authorization, {})
    assert answer.status_code == 400 and "registration" in answer.json()["message"].lower(), answer.text


def test_unknown_policy(plant: Plant) -> None:
    body = {
        "enrollmentGroupId": "unknown-policy", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
        "credentialPolicyName": "no-such-policy",
    }
    answer = plant.dps_rest("PUT", "/enrollmentGroups/unknown-policy", body)
    assert answer.status_code in (400, 404) and "no-such-policy" in answer.json()["message"], answer.text
    assert plant.dps_rest("GET", "/enrollmentGroups/unknown-policy").status_code == 404


def test_a_policy_that_is_gone(plant: Plant) -> None:
    policy = f"{plant.namespace}/credentials/default/policies/short-lived"
    plant.arm.put(policy, versions.REGISTRY, {"location": "swedencentral", "properties": {}})
    group_key = enroll(plant, "gone-policy", "short-lived")
    plant.arm.delete(policy, versions.REGISTRY)
    device = "gone-policy-device"
    answer = dps.register(plant.server, plant.id_scope, device, derived(group_key, device), b64(csr(KEY, device)))
    code, message = refusal(answer)
    assert code // 1000 in (400, 404) and "short-lived" in message, (code, message)
    assert_nothing_left(plant, device)


def test_unknown_operation(plant: Plant) -> None:
    device = "unknown-operation"
    with dps.connect(plant.server, plant.id_scope, device, plant.key(device)) as client:
        client.publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=4.0.00000000-0000-0000-0000-000000000000")
        topic, payload = client.receive("$dps/registrations/res/404/")
    assert b"errorCode" in payload, payload


def test_a_server_whose_clock_is_a_day_off(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """What it does meanwhile is refused with its reason or good afterwards; once the clock is right again everything is as before."""
    library = compile_shim(Path(__file__).parent / "shifted_clock.c", tmp_path)
    server = own_server()
    plant = build(server, "clock")
    before = provisioned(plant, "before", tmp_path)

    def start(days: int) -> None:
        server.stop()
        server.environment = {"LD_PRELOAD": library, "SHIFTED_CLOCK_SECONDS": str(days * DAY)} if days else {}
        server.start()
        plant.arm = Arm(server)

    start(1)
    # A device with the right time sends a token that has ended for this server.
    with pytest.raises(Refused) as refused:
        registered(plant, "early", new_key())
    assert refused.value.code == 5
    ahead = provisioned(plant, "ahead", tmp_path, lifetime=2 * DAY)
    start(-1)
    # The issuing CA begins tomorrow for it: nobody gets a certificate that nobody would take.
    answer = registered(plant, "behind", new_key())
    assert answer.body["status"] == "failed" and "not valid" in answer.state["errorMessage"], answer
    start(0)
    with plant.connect("before", before) as hub:
        hub.publish("devices/before/messages/events/", b"still here")
    # A certificate from tomorrow is refused today; another one is had by registering again.
    with pytest.raises(Refused):
        plant.connect("ahead", ahead)
    for device in ("ahead", "behind"):
        with plant.connect(device, provisioned(plant, device, tmp_path)) as hub:
            hub.publish(f"devices/{device}/messages/events/", b"hello")


def test_a_device_whose_clock_is_a_day_off(plant: Plant, tmp_path: Path) -> None:
    """Its tokens end a day too early or too late; the first is refused as what it is, the second as good as any."""
    name = dps.resource(plant.id_scope, "late")
    for lifetime in (-DAY, -DAY + 3600):
        with pytest.raises(Refused) as refused:
            dps.connect(plant.server, plant.id_scope, "late", "", password=sas(name, plant.key("late"), "registration", lifetime))
        assert refused.value.code == 5
        told = dps.https(plant.server, "PUT", f"{name}/register", sas(name, plant.key("late"), "registration", lifetime), {"registrationId": "late"})
        assert told.status_code == 401 and "expired" in told.json()["message"], told.text
    chain = provisioned(plant, "fast", tmp_path, lifetime=DAY + 3600)
    with plant.connect("fast", chain) as hub:
        hub.publish("devices/fast/messages/events/", b"hello")


def registered(plant: Plant, device: str, key: PrivateKey, lifetime: int = 3600) -> dps.Answer:
    """A registration with a request, by a token that lasts so long."""
    token = sas(dps.resource(plant.id_scope, device), plant.key(device), "registration", lifetime)
    with dps.connect(plant.server, plant.id_scope, device, "", password=token) as client:
        return dps.exchange(client, {"registrationId": device, "csr": b64(csr(key, device))})[-1]


def provisioned(plant: Plant, device: str, folder: Path, lifetime: int = 3600) -> Chain:
    key = new_key()
    answer = registered(plant, device, key, lifetime)
    assert answer.body["status"] == "assigned", answer.body
    return save_chain(folder, device, answer.state["issuedCertificateChain"], key)
