"""kill -9, and a disk that forgets what was not synced, in the middle of 200 concurrent registrations, 10,000 publishes and a
running delete of a resource group. After the restart every acknowledged one is there, the operation ends, no serial number is
used twice, no device is half made."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import time
from pathlib import Path
from typing import Any, Callable

import pytest
import requests
from cryptography import x509

from lib import arm as versions
from lib import load, raw
from lib.arm import Arm
from lib.keys import b64, check_chain, csr, new_key, save_chain
from lib.plant import LOCATION, Plant, build
from lib.server import Server, until
from lib.shim import compile_shim

REGISTRATIONS = 200
PUBLISHERS, MESSAGES = 20, 500
DOOMED_HUBS = 300
KEYS = [new_key() for _ in range(8)]


class Crash:
    """How the process ends, and what the disk then holds."""

    def __init__(self, server: Server, forgetful: bool, folder: Path, lies: bool = False) -> None:
        self.server = server
        self.lies = {"FORGETFUL_LIES": "1"} if lies else {}
        self.shadow = folder / "shadow" if forgetful else None
        self.library = compile_shim(Path(__file__).parent / "forgetful_disk.c", folder) if forgetful else ""

    def start(self) -> None:
        """Starts the server, from here on on the forgetful disk where there is one."""
        if self.shadow:
            shutil.rmtree(self.shadow, ignore_errors=True)
            shutil.copytree(self.server.data, self.shadow)
            self.server.environment = {
                "LD_PRELOAD": self.library, "FORGETFUL_DIR": str(self.server.data.resolve()), "FORGETFUL_SHADOW": str(self.shadow),
                **self.lies,
            }
        self.server.start()

    def happen(self) -> None:
        self.server.kill()
        if self.shadow:
            shutil.rmtree(self.server.data)
            shutil.copytree(self.shadow, self.server.data)
            self.server.environment = {}


def doomed_group(arm: Arm, name: str, count: int) -> tuple[str, list[str]]:
    """A resource group with much in it, so that its delete takes a while."""
    group = f"{arm.subscription}/resourceGroups/{name}"
    arm.put(group, versions.GROUP, {"location": LOCATION})
    body = {"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "properties": {}}
    hubs = [f"{group}/providers/Microsoft.Devices/IotHubs/{name}-{number}" for number in range(count)]
    for hub in hubs:
        arm.call("PUT", hub, versions.HUB, body)
    return group, hubs


async def storm(plant: Plant, crash: Crash, doomed: str, record: load.Record) -> None:
    """Everything at once; ends in the crash."""
    tls = raw.context(plant.server)
    work = [
        asyncio.create_task(load.register(plant, tls, device(number), b64(csr(KEYS[number % 8], device(number))), record))
        for number in range(REGISTRATIONS)
    ]
    # Registrations take a second at least, messages do not: so that both are in their middle, messages begin later.
    while len(record.chains) < 10:
        assert not all(task.done() for task in work), f"{len(record.chains)} chains, {record.refused[:3]}"
        await asyncio.sleep(0.01)
    work += [asyncio.create_task(load.publish(plant, tls, publisher(number), MESSAGES, record)) for number in range(PUBLISHERS)]
    while record.messages() < 1000:
        assert not all(task.done() for task in work), f"{len(record.chains)} chains, {record.messages()} messages, {record.refused[:3]}"
        await asyncio.sleep(0.01)
    delete = asyncio.create_task(asyncio.to_thread(unanswered_delete, plant, doomed))
    while not 0 < (left := await asyncio.to_thread(hubs_left, plant, doomed)) < DOOMED_HUBS:
        assert left, "the delete had ended: the crash came too late to show anything"
    crash.happen()
    await asyncio.gather(*work, delete)


def unanswered_delete(plant: Plant, doomed: str) -> None:
    """Starts a delete whose answer the crash swallows."""
    try:
        answer = plant.arm.send("DELETE", doomed, versions.GROUP)
    except requests.RequestException:
        return
    assert answer.status_code == 202, f"the delete had ended with {answer.status_code}"


def hubs_left(plant: Plant, group: str) -> int:
    return len(Arm(plant.server).get(f"{group}/providers/Microsoft.Devices/IotHubs", versions.HUB)["value"])


def device(number: int) -> str:
    return f"storm-{number:03}"


def publisher(number: int) -> str:
    return f"publisher-{number:02}"


@pytest.mark.parametrize("forgetful", [False, True], ids=["killed", "forgetful-disk"])
def test_in_the_middle_of_everything(own_server: Callable[..., Server], tmp_path: Path, forgetful: bool) -> None:
    server = own_server()
    plant = build(server, "crash")
    doomed, hubs = doomed_group(plant.arm, "doomed-rg", DOOMED_HUBS)
    for number in range(PUBLISHERS):
        assert plant.register(publisher(number)).body["status"] == "assigned"
    server.stop()
    crash = Crash(server, forgetful, tmp_path)
    crash.start()
    record = load.Record()
    asyncio.run(storm(plant, crash, doomed, record))
    assert not record.refused, record.refused[:3]
    assert len(record.chains) < REGISTRATIONS, "all registrations had ended: the crash came too late to show anything"
    assert record.messages() < PUBLISHERS * MESSAGES, "all messages were sent: the crash came too late to show anything"

    server.start()
    plant.arm = Arm(server)
    check_devices(plant, record)
    check_messages(plant, record)
    check_operation(plant, doomed, hubs)
    check_serials(plant, record, tmp_path)


def registry_devices(plant: Plant) -> set[str]:
    """Names of the namespace's devices, all pages."""
    found: set[str] = set()
    page: dict[str, Any] = plant.arm.get(f"{plant.namespace}/devices", versions.REGISTRY)
    while True:
        found |= {one["name"] for one in page["value"]}
        if not page.get("nextLink"):
            return found
        page = plant.arm.call("GET", page["nextLink"], "")


def check_devices(plant: Plant, record: load.Record) -> None:
    """What was acknowledged is there; what was not is there whole or not at all."""
    mirrored = registry_devices(plant)
    for number in range(REGISTRATIONS):
        name = device(number)
        identity = plant.hub_rest("GET", f"/devices/{name}").status_code == 200
        twin = plant.hub_rest("GET", f"/twins/{name}").status_code == 200
        answer = plant.dps_rest("GET", f"/registrations/{name}")
        registered = answer.status_code == 200 and answer.json()["status"] == "assigned"
        whole = {identity, twin, registered, name in mirrored}
        assert len(whole) == 1, f"{name} is half made: identity {identity}, twin {twin}, registration {registered}, mirrored {name in mirrored}"
        assert identity or name not in record.chains, f"{name} was acknowledged and is lost"


def check_messages(plant: Plant, record: load.Record) -> None:
    """Every acknowledged message is in the log; sequence numbers have no gap."""
    done = plant.server.run("events", plant.hub_name, "--json")
    assert done.code == 0, done.stderr
    stored: dict[str, set[int]] = {}
    sequences: dict[int, list[int]] = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        body = json.loads(base64.b64decode(event["body"]))
        assert event["systemProperties"]["iothub-connection-device-id"] == body["device"]
        stored.setdefault(body["device"], set()).add(body["number"])
        sequences.setdefault(event["partition"], []).append(event["sequenceNumber"])
    for partition, numbers in sequences.items():
        assert numbers == list(range(len(numbers))), f"partition {partition} has gaps or repeats"
    for name, numbers in record.published.items():
        lost = numbers - stored.get(name, set())
        assert not lost, f"{name}: {len(lost)} acknowledged messages are lost, {sorted(lost)[:5]}"


def check_operation(plant: Plant, doomed: str, hubs: list[str]) -> None:
    """The delete goes on after the restart, to its end, and leaves no orphans."""
    until("the operation ends", lambda: plant.arm.send("GET", doomed, versions.GROUP).status_code == 404)
    for hub in hubs:
        assert plant.arm.send("GET", hub, versions.HUB).status_code == 404, hub
    listed = plant.arm.get(f"{plant.arm.subscription}/providers/Microsoft.Devices/IotHubs", versions.HUB)["value"]
    assert [hub["name"] for hub in listed] == [plant.hub_name]
    # Their names are free again.
    doomed_group(plant.arm, "doomed-rg", 3)


def check_serials(plant: Plant, record: load.Record, folder: Path) -> None:
    """All devices register (again); no serial number was given twice, before and after."""
    again = load.Record()

    async def everybody() -> None:
        tls = raw.context(plant.server)
        names = [device(number) for number in range(REGISTRATIONS)]
        await asyncio.gather(*(load.register(plant, tls, name, b64(csr(KEYS[number % 8], name)), again) for number, name in enumerate(names)))

    asyncio.run(everybody())
    assert not again.refused and len(again.chains) == REGISTRATIONS, f"{len(again.chains)} of {REGISTRATIONS}: {again.refused[:3]}"
    leaves = [chain[0] for one in (record, again) for chain in one.chains.values()]
    serials = [x509.load_der_x509_certificate(base64.b64decode(leaf)).serial_number for leaf in leaves]
    assert len(set(serials)) == len(serials) == len(record.chains) + REGISTRATIONS
    # A chain from before the crash is as good as one from after it.
    for number, name in enumerate(sorted(record.chains)[:5]):
        key = KEYS[int(name.removeprefix("storm-")) % 8]
        chain = save_chain(folder, f"before-{number}", record.chains[name], key)
        check_chain(folder, chain, name, key)
        with plant.connect(name, chain) as client:
            client.publish(f"devices/{name}/messages/events/", json.dumps({"device": name, "number": 0}))


async def burst(plant: Plant, crash: Crash, turn: int, record: load.Record) -> None:
    """A few registrations and messages, ended early by the crash; `turn` moves the moment."""
    tls = raw.context(plant.server)
    numbers = range(turn * 20, turn * 20 + 20)
    work = [asyncio.create_task(load.register(plant, tls, device(number), b64(csr(KEYS[number % 8], device(number))), record)) for number in numbers]
    part = load.Record()
    work += [asyncio.create_task(load.publish(plant, tls, publisher(number), MESSAGES, part, start=turn * MESSAGES)) for number in range(PUBLISHERS)]
    while part.messages() < 40 + 61 * turn:
        assert not all(task.done() for task in work), f"turn {turn}: {part.messages()} messages, {record.refused[:3]}"
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.1 * turn)
    crash.happen()
    await asyncio.gather(*work)
    for name, found in part.published.items():
        record.published.setdefault(name, set()).update(found)


def test_again_and_again(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """Six crashes in a row on the forgetful disk, at moments that differ: nothing acknowledged is ever lost."""
    server = own_server()
    plant = build(server, "often")
    for number in range(PUBLISHERS):
        assert plant.register(publisher(number)).body["status"] == "assigned"
    server.stop()
    crash = Crash(server, True, tmp_path)
    record = load.Record()
    for turn in range(6):
        crash.start()
        asyncio.run(burst(plant, crash, turn, record))
    assert record.chains and record.messages() > 500
    server.start()
    plant.arm = Arm(server)
    check_devices(plant, record)
    check_messages(plant, record)
    check_serials(plant, record, tmp_path)


def state(plant: Plant, name: str) -> dict[str, Any]:
    answer = plant.hub_rest("GET", f"/devices/{name}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def wanted(plant: Plant, name: str, value: int) -> None:
    answer = plant.hub_rest("PATCH", f"/twins/{name}", {"properties": {"desired": {"value": value}}})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("forgetful", [False, True], ids=["killed", "forgetful-disk"])
def test_what_a_session_asked_for_outlives_the_crash(own_server: Callable[..., Server], tmp_path: Path, forgetful: bool) -> None:
    """SUBACK in a session that is not clean means: synced. And nobody who is gone counts as connected for ever."""
    server = own_server()
    plant = build(server, "session")
    for name in ("lasting", "clean", "gone"):
        assert plant.register(name).body["status"] == "assigned"
    server.stop()
    crash = Crash(server, forgetful, tmp_path)
    crash.start()
    plant.arm = Arm(server)
    lasting, clean, gone = (plant.connect(name, clean=name == "clean") for name in ("lasting", "clean", "gone"))
    # Who is connected is written a second behind, unlike what follows.
    time.sleep(3)
    for client in (lasting, clean):
        assert not client.session_present
        for topic in ("$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"):
            assert client.subscribe(topic) == 1
    crash.happen()
    for client in (lasting, clean, gone):
        client.close()
    server.start()
    plant.arm = Arm(server)

    lasting, clean = (plant.connect(name, clean=name == "clean") for name in ("lasting", "clean"))
    assert lasting.session_present and not clean.session_present
    for name in ("lasting", "clean"):
        wanted(plant, name, 1)
    # It does not subscribe again, and hears.
    topic, payload = lasting.receive("$iothub/twin/PATCH/properties/desired/")
    assert json.loads(payload)["value"] == 1, topic
    lasting.publish("$iothub/twin/GET/?$rid=1", b"", 0)
    assert lasting.receive("$iothub/twin/res/200/")
    clean.publish("devices/clean/messages/events/", b"{}")
    assert clean.messages.empty(), "a clean session hears nothing unasked"
    assert state(plant, "lasting")["connectionState"] == "Connected"
    until("the lease of the process that died ends", lambda: state(plant, "gone")["connectionState"] == "Disconnected")
    assert not state(plant, "gone")["connectionStateUpdatedTime"].startswith("0001")

    # A server that stops in order says so itself, and a clean session forgets what a lasting one asked for.
    lasting.close()
    plant.connect("lasting").close()
    server.stop()
    server.start()
    plant.arm = Arm(server)
    assert state(plant, "lasting")["connectionState"] == state(plant, "clean")["connectionState"] == "Disconnected"
    clean.close()
    with plant.connect("lasting", clean=False) as again:
        assert not again.session_present


def test_lost_writes_are_noticed(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """The judgement itself: on a disk whose sync does nothing, the checks above must fail."""
    server = own_server()
    plant = build(server, "lies")
    assert plant.register(publisher(0)).body["status"] == "assigned"
    server.stop()
    crash = Crash(server, True, tmp_path, lies=True)
    crash.start()
    record = load.Record()
    asyncio.run(load.publish(plant, raw.context(server), publisher(0), 10, record))
    asyncio.run(load.register(plant, raw.context(server), device(0), b64(csr(KEYS[0], device(0))), record))
    assert record.messages() == 10 and record.chains
    crash.happen()
    server.start()
    plant.arm = Arm(server)
    with pytest.raises(AssertionError, match="acknowledged messages are lost"):
        check_messages(plant, record)
    with pytest.raises(AssertionError, match="was acknowledged and is lost"):
        check_devices(plant, record)
