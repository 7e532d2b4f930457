"""Renewing a certificate at the hub with paho-mqtt: every row of reference/certificates.md 3.1."""

from __future__ import annotations

import json
import queue
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lib.keys import Chain, b64, check_chain, csr, new_key, sas, save_chain
from lib.mqtt import Mqtt
from lib.plant import Plant, build
from lib.server import Server

API = "2025-08-01-preview"
FILTER = "$iothub/credentials/res/#"
# What C# cuts out of a topic; Java and C take everything behind the last '=' too.
TOPIC = re.compile(r"^\$iothub/credentials/res/(\d+)/\?\$rid=(.+)$")


@dataclass
class Answer:
    status: int
    rid: str
    body: dict[str, Any]


@pytest.fixture(scope="module")
def renewing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    running = Server(tmp_path_factory.mktemp("renewing") / "data").start()
    yield build(running, "renew")
    assert running.alive, "\n".join(running.log[-20:])
    running.stop()
    assert not [line for line in running.log if "panicked" in line]


@dataclass
class Device:
    """A provisioned device with its chain."""

    plant: Plant
    folder: Path
    name: str
    key: Any = field(default_factory=new_key)
    chain: Chain | None = None
    # Request ids whose outcome is known: it may come once more where a connection broke before the hub knew that it had arrived.
    known: set[str] = field(default_factory=set)

    def provision(self) -> "Device":
        answer = self.plant.register(self.name, b64(csr(self.key, self.name)))
        while answer.status == 429:
            # A device waits as long as it is told to: who registers in a loop, as these tests do, is told so.
            time.sleep(answer.retry_after)
            answer = self.plant.register(self.name, b64(csr(self.key, self.name)))
        assert answer.body.get("status") == "assigned", answer.body
        self.chain = save_chain(self.folder, self.name, answer.state["issuedCertificateChain"], self.key)
        return self

    def connect(self, clean: bool = True, chain: Chain | None = None, api: str = API) -> "Renewer":
        user = f"{self.plant.hub_host}/{self.name}/?api-version={api}&DeviceClientType=paho"
        return Renewer(Mqtt(self.plant.server, self.name, user, None, chain or self.chain, clean=clean), self)

    def body(self, **more: Any) -> dict[str, Any]:
        return {"id": self.name, "csr": b64(csr(self.key, self.name)), **more}


class Renewer:
    """A device's connection."""

    def __init__(self, mqtt: Mqtt, device: Device) -> None:
        self.mqtt, self.device = mqtt, device

    def __enter__(self) -> "Renewer":
        return self

    def __exit__(self, *_what: object) -> None:
        self.mqtt.close()

    def subscribe(self) -> "Renewer":
        assert self.mqtt.subscribe(FILTER, 1) in (0, 1)
        return self

    def unsubscribe(self) -> None:
        done = queue.Queue[int]()
        self.mqtt.client.on_unsubscribe = lambda _client, _data, mid: done.put(mid)
        self.mqtt.client.unsubscribe(FILTER)
        done.get(timeout=30)

    def send(self, payload: Any, rid: str | None = None, qos: int = 1) -> str:
        rid = rid or str(uuid.uuid4())
        self.mqtt.publish(f"$iothub/credentials/POST/issueCertificate/?$rid={rid}", payload, qos)
        return rid

    def answer(self, rid: str | None = None) -> Answer:
        while True:
            topic, payload = self.mqtt.receive("$iothub/credentials/res/")
            parts = TOPIC.match(topic)
            assert parts, topic
            found = Answer(int(parts[1]), parts[2], json.loads(payload))
            if rid is None or found.rid == rid:
                return found
            assert found.rid in self.device.known and found.status == 200, found

    def ask(self, payload: Any, rid: str | None = None) -> Answer:
        return self.answer(self.send(payload, rid))

    def accepted(self, rid: str | None = None, **more: Any) -> Answer:
        answer = self.ask(self.device.body(**more), rid)
        assert answer.status == 202, answer
        assert set(answer.body) == {"correlationId", "operationExpires"}
        uuid.UUID(answer.body["correlationId"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", answer.body["operationExpires"])
        return answer

    def issued(self, accepted: Answer) -> Chain:
        answer = self.answer(accepted.rid)
        assert answer.status == 200, answer
        assert answer.body["correlationId"] == accepted.body["correlationId"]
        assert set(answer.body) == {"correlationId", "certificates"} and len(answer.body["certificates"]) == 3
        device = self.device
        device.known.add(accepted.rid)
        return save_chain(device.folder, f"{device.name}-{accepted.rid}", answer.body["certificates"], device.key)

    def silent(self, seconds: float = 2.0) -> None:
        time.sleep(seconds)
        assert self.mqtt.messages.empty(), self.mqtt.messages.get_nowait()


@pytest.fixture
def device(renewing: Plant, tmp_path: Path, request: pytest.FixtureRequest) -> Device:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    return Device(renewing, tmp_path, name).provision()


def check_error(answer: Answer, status: int, code: int, *words: str) -> None:
    body = answer.body
    assert (answer.status, body["errorCode"]) == (status, code), answer
    assert re.fullmatch(r"[0-9A-F]{32}-G2:-TimeStamp:\S+", body["trackingId"]), body
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", body["timestampUtc"])
    assert "info" in body and isinstance(body["message"], str)
    for word in words:
        assert word.lower() in body["message"].lower(), body["message"]


def test_renewed_certificates_open_the_hub_and_the_old_one_does_too(device: Device, tmp_path: Path) -> None:
    old = device.chain
    assert old
    device.key = new_key("P-384")
    with device.connect().subscribe() as client:
        accepted = client.accepted()
        new = client.issued(accepted)
        client.mqtt.publish(f"devices/{device.name}/messages/events/", b"the session goes on")
    check_chain(tmp_path, new, device.name, device.key)
    assert new.leaf.serial_number != old.leaf.serial_number
    for chain in (old, new):
        with device.connect(chain=chain) as client:
            client.mqtt.publish(f"devices/{device.name}/messages/events/", b"hello")
    with device.connect(chain=new).subscribe() as client:
        client.issued(client.accepted())


@pytest.mark.parametrize(
    "payload, code, word",
    [
        ("", 400_004, "payload is missing"),
        ('{"id": "x", "csr": "', 400_006, "cannot decode json format"),
        ("[]", 400_004, "id does not match"),
        ({"csr": ""}, 400_004, "'csr' is invalid or missing"),
        ({"csr": None}, 400_004, "'csr' is invalid or missing"),
        ({"csr": "A" * 8196}, 400_004, "exceeds the maximum allowed length"),
        ({"csr": "*not base64*"}, 400_004, "not valid base64"),
        ({"id": "somebody-else"}, 400_004, "does not match the authenticated device ID"),
        ({"id": ""}, 400_004, "does not match the authenticated device ID"),
        ({"more": 1}, 400_004, "only 'id', 'csr' and 'replace' are allowed"),
        ({"replace": "no such form!"}, 400_004, "replace"),
    ],
)
def test_bad_payloads(device: Device, payload: Any, code: int, word: str) -> None:
    if isinstance(payload, dict):
        payload = {key: value for key, value in (device.body() | payload).items() if value is not None}
    with device.connect().subscribe() as client:
        check_error(client.ask(payload), 400, code, word)
        client.issued(client.accepted(replace=None))


def test_replacing_what_is_not_pending(device: Device) -> None:
    with device.connect().subscribe() as client:
        missing = str(uuid.uuid4())
        answer = client.ask(device.body(replace=missing))
        check_error(answer, 412, 412_001)
        assert answer.body["info"]["requestId"] == missing


@pytest.mark.parametrize("what", ["no request", "another name"])
def test_what_is_no_request_is_accepted_and_fails(device: Device, what: str) -> None:
    text = b64(b"no certificate request") if what == "no request" else b64(csr(device.key, "another"))
    with device.connect().subscribe() as client:
        rid = client.send({"id": device.name, "csr": text})
        first, last = client.answer(rid), client.answer(rid)
        assert first.status == 202
        check_error(last, 400, 400_037)
        info = last.body["info"]
        assert (info["correlationId"], info["credentialError"]) == (first.body["correlationId"], "400000")
        assert "requestId" not in info and info["credentialMessage"]
        client.issued(client.accepted())


def test_a_second_request_while_one_is_pending(device: Device) -> None:
    with device.connect().subscribe() as client:
        first = client.accepted()
        refused = client.ask(device.body())
        check_error(refused, 409, 409_004)
        assert refused.body["info"] == {"requestId": first.rid, **first.body}
        client.issued(first)


def test_two_at_once(device: Device) -> None:
    with device.connect().subscribe() as client:
        rids = [client.send(device.body(), qos=0) for _ in range(2)]
        answers = [client.answer() for _ in range(3)]
        assert [answer.status for answer in answers] == [202, 409, 200], answers
        assert [answer.rid for answer in answers] == [rids[0], rids[1], rids[0]]


@pytest.mark.parametrize("star", [False, True], ids=["by name", "any"])
def test_a_pending_one_gives_way(device: Device, star: bool) -> None:
    with device.connect().subscribe() as client:
        first = client.accepted()
        second = client.accepted(replace="*" if star else first.rid)
        client.issued(second)
        client.silent(1.5)


def test_one_after_the_other(device: Device) -> None:
    with device.connect().subscribe() as client:
        serials = {client.issued(client.accepted()).leaf.serial_number for _ in range(2)}
        assert len(serials) == 2


def test_nobody_listens_and_no_request_id(device: Device) -> None:
    with device.connect() as client:
        client.send(device.body())
        client.subscribe()
        client.silent()
        client.mqtt.publish("$iothub/credentials/POST/issueCertificate/", device.body())
        client.silent()
        client.issued(client.accepted())


@pytest.mark.parametrize("rid", ["abc", "-abcd", "abcd-", "a_bcd", "a" * 37])
def test_request_ids_of_another_form(device: Device, rid: str) -> None:
    with device.connect().subscribe() as client:
        check_error(client.ask(device.body(), rid), 400, 400_004, "request id")


@pytest.mark.parametrize("rid", ["1234", "a" * 36, "A-b-9"])
def test_request_ids_of_the_form(device: Device, rid: str) -> None:
    with device.connect().subscribe() as client:
        client.issued(client.accepted(rid))


def test_unsubscribed_after_202(device: Device) -> None:
    with device.connect().subscribe() as client:
        accepted = client.accepted()
        client.unsubscribe()
        client.silent()
        client.subscribe()
        client.issued(accepted)
        client.silent(1.0)
        # It was delivered, and is not again.
        client.subscribe()
        client.silent(1.0)


@pytest.mark.parametrize("how", ["not clean", "clean and subscribed", "clean and silent"])
def test_reconnecting_after_202(device: Device, how: str) -> None:
    clean = how != "not clean"
    with device.connect(clean=clean).subscribe() as client:
        accepted = client.accepted()
    with device.connect(clean=clean) as client:
        assert client.mqtt.session_present is not clean
        if how == "clean and silent":
            client.silent()
            return
        if clean:
            client.subscribe()
        client.issued(accepted)


def test_the_same_request_again(device: Device) -> None:
    body = device.body()
    with device.connect().subscribe() as client:
        first = client.ask(body)
        one = client.issued(first)
    with device.connect().subscribe() as client:
        client.silent(1.0)
        again = client.ask(body, first.rid)
        assert (again.status, again.body) == (202, first.body)
        assert client.issued(again).leaf == one.leaf


def test_an_older_version_and_a_device_with_keys(device: Device, renewing: Plant) -> None:
    with device.connect(api="2021-04-12").subscribe() as client:
        check_error(client.ask(device.body()), 400, 400_001, API)
    plain = Device(renewing, device.folder, f"{device.name[:40]}-sas")
    assert renewing.register(plain.name).body["status"] == "assigned"
    key = renewing.hub_rest("GET", f"/devices/{plain.name}").json()["authentication"]["symmetricKey"]["primaryKey"]
    user = f"{renewing.hub_host}/{plain.name}/?api-version={API}"
    token = sas(f"{renewing.hub_host}/devices/{plain.name}", key)
    with Renewer(Mqtt(renewing.server, plain.name, user, token), plain).subscribe() as client:
        check_error(client.ask(plain.body()), 412, 412_005, "type 'sas'")


def test_the_hubs_right_and_the_command_that_grants_it(tmp_path: Path, own_server: Any) -> None:
    plant = build(own_server(), "edge")
    device = Device(plant, tmp_path, "edge-device").provision()
    plant.arm.delete(plant.assignments["identity on namespace"], "2022-04-01")
    with device.connect().subscribe() as client:
        refused = client.ask(device.body())
        check_error(refused, 403, 403_000, plant.identity_principal, "az role assignment create")
        plant.arm.assign(plant.namespace, plant.identity_principal, plant.role)
        client.issued(client.accepted())
