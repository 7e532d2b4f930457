"""Many devices at once over MQTT by hand (raw.py): registrations and telemetry, with a record of what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
import zlib
from dataclasses import dataclass, field

from lib import dps, raw
from lib.keys import sas
from lib.plant import Plant

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
WINDOW = 2
GONE = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError, OSError)


@dataclass
class Record:
    """What the server acknowledged."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    published: dict[str, set[int]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def messages(self) -> int:
        return sum(len(numbers) for numbers in self.published.values())


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return first, await reader.readexactly(length)


async def _connect(plant: Plant, tls: ssl.SSLContext, client_id: str, username: str, password: str) -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", plant.server.mqtt_port, ssl=tls, server_hostname="localhost")
    writer.write(raw.connect_packet(client_id, username, password))
    kind, body = await _packet(reader)
    assert kind == raw.CONNACK and body[1] == 0, f"{client_id}: CONNACK {body!r}"
    return reader, writer


async def register(plant: Plant, tls: ssl.SSLContext, device: str, csr: str, record: Record) -> None:
    """A registration, polled to its end. A connection that breaks is no failure here: the server is being killed."""
    name = dps.resource(plant.id_scope, device)
    try:
        password = sas(name, plant.key(device), "registration")
        reader, writer = await _connect(plant, tls, device, f"{name}/api-version={dps.API}&ClientVersion=x", password)
        writer.write(raw.packet(0x82, b"\0\1" + raw.text("$dps/registrations/res/#") + b"\1"))
        body = json.dumps({"registrationId": device, "csr": csr}).encode()
        writer.write(raw.packet(0x32, raw.text("$dps/registrations/PUT/iotdps-register/?$rid=1") + b"\0\2" + body))
        number = 2
        while True:
            kind, content = await _packet(reader)
            if kind & 0xF0 != 0x30:
                continue
            length = struct.unpack("!H", content[:2])[0]
            topic, rest = content[2 : 2 + length].decode(), content[2 + length :]
            if kind & 0x06:
                writer.write(raw.packet(0x40, rest[:2]))
                rest = rest[2:]
            answer = json.loads(rest)
            if topic.startswith("$dps/registrations/res/202/"):
                # Devices ask at moments that differ, so that a crash finds some done and some not.
                await asyncio.sleep(0.2 + zlib.crc32(device.encode()) % 64 / 16)
                number += 1
                poll = f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid={number}&operationId={answer['operationId']}"
                writer.write(raw.packet(0x32, raw.text(poll) + struct.pack("!H", number)))
                continue
            if answer.get("status") == "assigned":
                record.chains[device] = answer["registrationState"]["issuedCertificateChain"]
            else:
                record.refused.append(f"{device}: {topic} {answer}")
            writer.close()
            return
    except GONE:
        return


async def publish(plant: Plant, tls: ssl.SSLContext, device: str, count: int, record: Record, start: int = 0) -> None:
    """`count` messages, numbered from `start`, of which at most WINDOW wait for their PUBACK."""
    acknowledged = record.published.setdefault(device, set())
    try:
        password = sas(f"{plant.hub_host}/devices/{device}", plant.key(device))
        reader, writer = await _connect(plant, tls, device, plant.username(device), password)
        sent = 0
        while len(acknowledged) < count:
            while sent < count and sent - len(acknowledged) < WINDOW:
                body = json.dumps({"device": device, "number": start + sent}).encode()
                writer.write(raw.packet(0x32, raw.text(f"devices/{device}/messages/events/") + struct.pack("!H", sent + 1) + body))
                sent += 1
            kind, content = await _packet(reader)
            if kind == 0x40:
                acknowledged.add(start + struct.unpack("!H", content)[0] - 1)
        writer.close()
    except GONE:
        return
