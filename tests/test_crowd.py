"""Many devices that register in the same moment, from one address, over TLS and MQTT by hand: each gets its own identity and
certificate, or is told when to come again. FERROHUB_TEST_CROWD says how many."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import ssl
from typing import Callable

from cryptography import x509

from lib import dps, raw
from lib.keys import b64, csr, new_key, sas
from lib.plant import Plant, build
from lib.server import Server

DEVICES = int(os.environ.get("FERROHUB_TEST_CROWD", "600"))
# How long one comes again, seconds, and how long it waits where it had no connection.
PATIENCE, AGAIN = 400, 0.5
PUBLISH, ACKNOWLEDGED = 0x30, 0x40


class Turned(Exception):
    """It was told when to come again."""


class Device:
    """One that registers until it has what it came for."""

    def __init__(self, plant: Plant, tls: ssl.SSLContext, name: str, request: str) -> None:
        self.plant, self.tls, self.name, self.request = plant, tls, name, request
        self.told = self.outside = 0

    async def insist(self) -> dict[str, object]:
        while True:
            try:
                return await self.register()
            except Turned as told:
                self.told += 1
                await asyncio.sleep(float(str(told)))
            except (OSError, EOFError, TimeoutError):
                self.outside += 1
                await asyncio.sleep(AGAIN)

    async def register(self) -> dict[str, object]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.plant.server.mqtt_port, ssl=self.tls, server_hostname="localhost", ssl_handshake_timeout=60)
        try:
            name = dps.resource(self.plant.id_scope, self.name)
            password = sas(name, self.plant.key(self.name), "registration")
            writer.write(raw.connect_packet(self.name, f"{name}/api-version={dps.API}", password))
            kind, body = await self.packet(reader)
            assert (kind, body[1]) == (raw.CONNACK, 0), f"{self.name}: CONNACK {body[1]}"
            writer.write(raw.packet(0x82, b"\0\1" + raw.text("$dps/registrations/res/#") + b"\1"))
            await self.packet(reader)
            answer = await self.ask(reader, writer, "PUT/iotdps-register/?$rid=1", {"csr": self.request})
            while answer["status"] == "assigning":
                await asyncio.sleep(0.5)
                answer = await self.ask(reader, writer, f"GET/iotdps-get-operationstatus/?$rid=1&operationId={answer['operationId']}", None)
            return dict(answer["registrationState"])
        finally:
            writer.transport.abort()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, topic: str, body: object) -> dict[str, object]:
        payload = json.dumps(body).encode() if body else b""
        writer.write(raw.packet(PUBLISH | 2, raw.text(f"$dps/registrations/{topic}") + b"\0\2" + payload))
        while True:
            kind, found = await self.packet(reader)
            if kind & 0xF0 == ACKNOWLEDGED:
                continue
            assert kind & 0xF0 == PUBLISH, kind
            length = int.from_bytes(found[:2])
            heard, rest = found[2 : 2 + length].decode(), found[2 + length + (2 if kind & 6 else 0) :]
            status = re.search(r"/res/(\d+)/", heard)
            assert status, heard
            if int(status[1]) < 300:
                return dict(json.loads(rest))
            wait = re.search(r"retry-after=(\d+)", heard)
            assert wait and int(status[1]) in (429, 503), f"{self.name}: refused without a time to wait: {heard} {rest!r}"
            raise Turned(wait[1])

    @staticmethod
    async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
        kind, length, shift = (await reader.readexactly(1))[0], 0, 0
        while True:
            digit = (await reader.readexactly(1))[0]
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return kind, await reader.readexactly(length)


def test_each_of_a_crowd_gets_its_own(own_server: Callable[..., Server]) -> None:
    plant = build(own_server(), "crowd")
    key, tls = new_key(), raw.context(plant.server)
    devices = [Device(plant, tls, f"crowd-{number}", b64(csr(key, f"crowd-{number}"))) for number in range(DEVICES)]

    async def all_at_once() -> list[dict[str, object]]:
        return await asyncio.wait_for(asyncio.gather(*(device.insist() for device in devices)), PATIENCE)

    serials = set()
    for device, state in zip(devices, asyncio.run(all_at_once())):
        assert (state["deviceId"], state["status"]) == (device.name, "assigned"), state
        chain = state["issuedCertificateChain"]
        assert isinstance(chain, list) and len(chain) == 3
        leaf = x509.load_der_x509_certificate(base64.b64decode(chain[0]))
        assert leaf.subject.rfc4514_string() == f"CN={device.name}"
        serials.add(leaf.serial_number)
    assert len(serials) == DEVICES, "two devices got one certificate"
    counted = plant.hub_rest("GET", "/statistics/devices").json()
    assert counted["totalDeviceCount"] == DEVICES, counted
    told, outside = sum(device.told for device in devices), sum(device.outside for device in devices)
    print(f"{DEVICES} devices: told to wait {told} times, without a connection {outside} times")
    issued = plant.server.az("iot", "adr", "ns", "certificate", "list", "--namespace", "crowd-ns", "--resource-group", plant.group_name)
    # Whoever lost its connection behind the request came again and got another one; nobody else has two.
    assert DEVICES <= len(issued) <= DEVICES + outside, (len(issued), outside)
