"""Wrong credentials and wrong packets at a hub."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import struct
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from lib import arm as versions
from lib import raw
from lib.keys import Chain, b64, csr, new_key, sas, save_chain
from lib.mqtt import Dropped, Mqtt, Refused
from lib.plant import Plant, add_hub, build, shared_key
from lib.server import Server, until

NOT_AUTHORIZED = 5


def issued(plant: Plant, device: str, folder: Path) -> Chain:
    key = new_key()
    answer = plant.register(device, b64(csr(key, device)))
    assert answer.body["status"] == "assigned", answer.body
    return save_chain(folder, f"{plant.prefix}-{device}", answer.state["issuedCertificateChain"], key)


def refused(plant: Plant, device: str, chain: Chain | None = None, password: str | None = None, host: str | None = None) -> int:
    """The CONNACK code of a connection that must be refused."""
    with pytest.raises(Refused) as caught:
        plant.connect(device, chain, password, host).close()
    return caught.value.code


def works(plant: Plant, device: str, chain: Chain) -> None:
    with plant.connect(device, chain) as client:
        client.publish(f"devices/{device}/messages/events/", b"x")


@pytest.fixture(scope="module")
def other(server: Server) -> Plant:
    """A second installation on the same server: another namespace, with CAs of its own."""
    return build(server, "other")


def test_keys_and_tokens(plant: Plant, other: Plant) -> None:
    device = "token-device"
    for one in (plant, other):
        assert one.register(device).body["status"] == "assigned"
    own, key = f"{plant.hub_host}/devices/{device}", plant.key(device)
    passwords = {
        "wrong key": sas(own, plant.key("another-device")),
        "expired": sas(own, key, lifetime=-600),
        "another hub's token": sas(f"{other.hub_host}/devices/{device}", other.key(device)),
        "another hub's name": sas(f"{other.hub_host}/devices/{device}", key),
        "another hub's key": sas(own, other.key(device)),
        "another hub's policy": sas(plant.hub_host, other.hub_key, "iothubowner"),
        "another device's token": sas(f"{plant.hub_host}/devices/another-device", plant.key("another-device")),
    }
    for name, password in passwords.items():
        assert refused(plant, device, password=password) == NOT_AUTHORIZED, name
    assert refused(plant, device, password="nonsense") in (4, NOT_AUTHORIZED)
    assert refused(plant, "no-such-device") == NOT_AUTHORIZED
    assert refused(plant, device, host="no-such-hub.azure-devices.localhost") in (2, 3, 4, NOT_AUTHORIZED)
    with plant.connect(device, password=sas(own, key)) as client:
        client.publish(f"devices/{device}/messages/events/", b"x")


def test_tokens_over_https(plant: Plant, other: Plant) -> None:
    for name, token in {
        "wrong key": sas(plant.hub_host, other.hub_key, "iothubowner"),
        "expired": sas(plant.hub_host, plant.hub_key, "iothubowner", lifetime=-600),
        "another hub's": sas(other.hub_host, other.hub_key, "iothubowner"),
        "unknown policy": sas(plant.hub_host, plant.hub_key, "no-such-policy"),
        "without right": sas(plant.hub_host, shared_key(plant.arm, plant.hub, versions.HUB, "device"), "device"),
    }.items():
        answer = plant.hub_rest("GET", "/devices/token-device", authorization=token)
        assert answer.status_code in (401, 403), f"{name}: {answer.text}"
        assert answer.headers.get("iothub-errorcode") or answer.json()["Message"], f"{name}: {answer.text}"


def test_a_chain_of_another_namespaces_ca(plant: Plant, other: Plant, tmp_path: Path) -> None:
    device = "foreign-chain-device"
    chain, foreign = issued(plant, device, tmp_path), issued(other, device, tmp_path)
    works(plant, device, chain)
    works(other, device, foreign)
    assert refused(plant, device, foreign) == NOT_AUTHORIZED
    assert refused(other, device, chain) == NOT_AUTHORIZED


def test_a_devices_certificate_with_another_devices_id(plant: Plant, tmp_path: Path) -> None:
    first, _second = issued(plant, "first-device", tmp_path), issued(plant, "second-device", tmp_path)
    assert refused(plant, "second-device", first) == NOT_AUTHORIZED
    with pytest.raises(Refused):
        # The client id is the certificate's, the user name another device's.
        Mqtt(plant.server, "first-device", plant.username("second-device"), None, first).close()
    works(plant, "first-device", first)


def test_a_certificate_that_nobody_signed(plant: Plant, tmp_path: Path) -> None:
    device, key = "self-signed-device", new_key()
    assert plant.register(device, b64(csr(key, device))).body["status"] == "assigned"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, device)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    alone = save_chain(tmp_path, "alone", [b64(certificate.public_bytes(Encoding.DER))], key)
    assert refused(plant, device, alone) == NOT_AUTHORIZED


def test_a_ca_that_was_not_synchronized(server: Server, tmp_path: Path) -> None:
    late = build(server, "late", synchronize=False)
    device = "early-device"
    chain = issued(late, device, tmp_path)
    assert late.hub_certificates() == []
    assert refused(late, device, chain) == NOT_AUTHORIZED
    late.synchronize()
    works(late, device, chain)


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
def test_a_ca_whose_hub_entry_was_deleted(server: Server, tmp_path: Path, maximum: ssl.TLSVersion) -> None:
    plant = build(server, f"gone{maximum.name[-1]}")
    device = "gone-device"
    chain = issued(plant, device, tmp_path)
    live = plant.connect(device, chain)
    tls = raw.context(server, chain, maximum)
    hello = raw.connect_packet(device, plant.username(device))

    def resumed(session: ssl.SSLSession | None) -> tuple[int | None, ssl.SSLSocket]:
        connection = raw.dial(server, tls, session, plant.hub_host)
        connection.sendall(hello)
        return raw.connack(connection), connection

    code, first = resumed(None)
    assert code == 0 and live.closed.wait(30), "the newer connection does not take over"
    code, second = resumed(first.session)
    assert code == 0 and second.session_reused, "TLS sessions are not resumed; then this test shows nothing"
    entries = plant.hub_certificates()
    assert [entry["properties"]["policyResourceId"].lower() for entry in entries] == [plant.policy.lower()]
    plant.arm.call("DELETE", entries[0]["id"], versions.HUB, If_Match=entries[0]["etag"])
    assert raw.ends(second), "the live connection was not ended"
    code, third = resumed(first.session)
    assert third.session_reused and code == NOT_AUTHORIZED, f"CONNACK {code} on a resumed session"
    assert refused(plant, device, chain) == NOT_AUTHORIZED
    plant.synchronize()
    works(plant, device, chain)


def wrong_packets() -> dict[str, bytes]:
    """First packets that no client may send."""
    level = struct.pack("!H", 60)
    return {
        "garbage": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "zeroes": bytes(64),
        "publish-first": raw.packet(0x30, raw.text("a") + b"x"),
        "ping-first": b"\xc0\x00",
        "length-of-five-bytes": b"\x10\xff\xff\xff\xff\x7f",
        "huge": b"\x10\xff\xff\xff\x7f" + bytes(1024),
        "other-protocol": raw.packet(0x10, raw.text("MQXX") + b"\x04\x02" + level + raw.text("d")),
        "reserved-flag": raw.packet(0x10, raw.text("MQTT") + b"\x04\x03" + level + raw.text("d")),
        "short": raw.packet(0x10, raw.text("MQTT") + b"\x04"),
        "string-beyond-the-end": raw.packet(0x10, raw.text("MQTT") + b"\x04\x02" + level + b"\xff\xffd"),
        "not-utf-8": raw.packet(0x10, raw.text("MQTT") + b"\x04\x82" + level + raw.text("d") + raw.text(b"\xff\xfe")),
        "null-in-name": raw.connect_packet("d", "a\x00b"),
    }


@pytest.mark.parametrize("name", wrong_packets())
def test_wrong_first_packets(server: Server, name: str) -> None:
    connection = raw.dial(server, raw.context(server))
    connection.sendall(wrong_packets()[name])
    code = raw.connack(connection)
    assert code != 0
    assert code is not None or raw.ends(connection), "neither refused nor ended"


@pytest.mark.parametrize(
    "packet",
    [
        raw.packet(0x36, raw.text("devices/packet-device/messages/events/") + b"\0\1x"),
        raw.packet(0x34, raw.text("devices/packet-device/messages/events/") + b"\0\1x"),
        raw.packet(0x32, raw.text("devices/another-device/messages/events/") + b"\0\1x"),
        raw.packet(0x32, raw.text("$nonsense/topic") + b"\0\1x"),
        raw.packet(0x32, raw.text("devices/+/messages/events/") + b"\0\1x"),
        raw.packet(0x32, b"\xff\xff"),
        raw.packet(0x80, b"\0\1" + raw.text("$iothub/twin/res/#") + b"\0"),
        raw.packet(0x82, b"\0\1"),
        raw.packet(0xF0, b""),
        raw.connect_packet("packet-device", "x"),
        raw.packet(0x32, raw.text("devices/packet-device/messages/events/") + b"\0\1" + bytes(300_000)),
    ],
    ids=["qos3", "qos2", "other-device", "topic", "wildcard", "cut", "subscribe-flags", "subscribe-empty", "reserved", "second-connect", "large"],
)
def test_wrong_packets_of_a_connected_device(plant: Plant, packet: bytes) -> None:
    device = "packet-device"
    if plant.hub_rest("GET", f"/devices/{device}").status_code == 404:
        assert plant.register(device).body["status"] == "assigned"
    connection = raw.dial(plant.server, raw.context(plant.server))
    connection.sendall(raw.connect_packet(device, plant.username(device), sas(f"{plant.hub_host}/devices/{device}", plant.key(device))))
    assert raw.connack(connection) == 0
    connection.sendall(packet)
    assert raw.ends(connection), "the connection goes on"


def test_wrong_twin_documents(plant: Plant) -> None:
    device = "twin-device"
    assert plant.register(device).body["status"] == "assigned"
    with plant.connect(device) as client:
        client.subscribe("$iothub/twin/res/#", 0)
        for number, body in enumerate([b"{", b"[]", b"7", b"\xff", json.dumps({"a" * 2000: 1}).encode(), json.dumps({"a": "b" * 40_000}).encode()]):
            client.publish(f"$iothub/twin/PATCH/properties/reported/?$rid={number}", body)
            topic, _ = client.receive(f"$iothub/twin/res/400/?$rid={number}")
            assert "$version" not in topic
        client.publish("$iothub/twin/PATCH/properties/reported/?$rid=good", {"a": 1})
        client.receive("$iothub/twin/res/204/?$rid=good&$version=2")
    assert plant.hub_rest("GET", f"/twins/{device}").json()["properties"]["reported"]["a"] == 1


def test_wrong_service_requests(plant: Plant) -> None:
    """The services' own APIs: ids, bodies, conditions."""
    device = "service-device"
    assert plant.register(device).body["status"] == "assigned"
    too_long = {"properties": {"desired": {"a": "b" * 40_000}}}
    for method, path, body, status, word in (
        ("PUT", "/devices/with%20space", {"deviceId": "with space"}, 400, "with space"),
        ("PUT", f"/devices/{'a' * 129}", {}, 400, "128"),
        ("PUT", "/devices/one", {"deviceId": "another"}, 400, "deviceId"),
        ("PUT", f"/devices/{device}", {"deviceId": device, "status": "sleeping"}, 400, "status"),
        ("PUT", f"/devices/{device}", {"deviceId": device, "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "short"}}}, 400, "primaryKey"),
        ("GET", "/devices/no-such-device", None, 404, "no-such-device"),
        ("DELETE", "/devices/no-such-device", None, 404, "no-such-device"),
        ("PATCH", "/twins/no-such-device", {"tags": {}}, 404, "no-such-device"),
        ("PATCH", f"/twins/{device}", {"tags": {"a.b": 1}}, 400, "a.b"),
        ("PATCH", f"/twins/{device}", too_long, 400, "desired"),
        ("PATCH", f"/twins/{device}", [], 400, ""),
    ):
        answer = plant.hub_rest(method, path, body)
        assert answer.status_code == status and word in answer.text, f"{method} {path}: {answer.status_code} {answer.text}"
    stale = plant.hub_rest("PATCH", f"/twins/{device}", {"tags": {"a": 1}}, If_Match='"stale"')
    assert stale.status_code == 412, stale.text
    assert plant.hub_rest("GET", f"/twins/{device}").json()["tags"] == {}
    for group, body, word in (
        ("Bad*Id", {"attestation": {"type": "symmetricKey", "symmetricKey": {}}}, "Bad*Id"),
        ("no-attestation", {}, "attestation"),
        ("short-key", {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "YQ==", "secondaryKey": "YQ=="}}}, "primaryKey"),
    ):
        answer = plant.dps_rest("PUT", f"/enrollmentGroups/{group}", {"enrollmentGroupId": group, **body})
        assert answer.status_code == 400 and word in answer.text, answer.text
    assert plant.dps_rest("GET", "/enrollmentGroups/no-such-group").status_code == 404


def test_connections_that_never_finish(server: Server) -> None:
    """A half CONNECT, and a TLS handshake that never begins: both are ended, in the time that the server gives them."""
    half = raw.dial(server, raw.context(server))
    half.sendall(raw.connect_packet("slow-device", "x")[:7])
    silent = socket.create_connection(("127.0.0.1", server.mqtt_port), timeout=45)
    ended: list[bool] = []
    threads = [threading.Thread(target=lambda one=one: ended.append(raw.ends(one))) for one in (half, silent)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [True, True]


def test_a_hub_without_a_namespace_takes_no_chain(plant: Plant, tmp_path: Path) -> None:
    hub = add_hub(plant.arm, plant.group, "plain-hub", None, None)
    host = hub["properties"]["hostName"]
    device = "plain-hub-device"
    chain = issued(plant, device, tmp_path)
    key = shared_key(plant.arm, hub["id"], versions.HUB, "iothubowner")
    made = plant.hub_rest(
        "PUT", f"/devices/{device}", {"deviceId": device, "authentication": {"type": "certificateAuthority"}},
        authorization=sas(host, key, "iothubowner"), Host=f"{host}:{plant.server.https_port}",
    )
    assert made.status_code == 200, made.text
    assert refused(plant, device, chain, host=host) == NOT_AUTHORIZED


def test_telemetry_without_its_right_is_not_acknowledged(plant: Plant) -> None:
    device = "retained-device"
    assert plant.register(device).body["status"] == "assigned"
    with plant.connect(device) as client:
        with pytest.raises(Dropped):
            client.publish("devices/another-device/messages/events/", b"x")
    until("the server answers still", lambda: plant.hub_rest("GET", f"/devices/{device}").status_code == 200)
