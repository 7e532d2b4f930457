"""MQTT 3.1.1 by hand over a TLS socket: wrong packets, and resumed sessions."""

from __future__ import annotations

import socket
import ssl
import struct

from lib.keys import Chain
from lib.server import Server

CONNACK = 0x20


def text(value: str | bytes) -> bytes:
    """A length-prefixed string."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(data)) + data


def packet(kind: int, body: bytes) -> bytes:
    """A packet: first byte, remaining length, body."""
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind]) + bytes(encoded) + body


def connect_packet(client_id: str, username: str, password: str | None = None, keep_alive: int = 60) -> bytes:
    flags = 0x82 | (0x40 if password is not None else 0)
    body = text("MQTT") + bytes([4, flags]) + struct.pack("!H", keep_alive) + text(client_id) + text(username)
    return packet(0x10, body + (text(password) if password is not None else b""))


def context(server: Server, chain: Chain | None = None, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=server.ca)
    made.maximum_version = maximum
    if chain:
        made.load_cert_chain(chain.certificate_file, chain.key_file)
    return made


def dial(server: Server, tls: ssl.SSLContext, session: ssl.SSLSession | None = None, name: str = "localhost") -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", server.mqtt_port), timeout=45)
    return tls.wrap_socket(plain, server_hostname=name, session=session)


def connack(connection: ssl.SSLSocket) -> int | None:
    """The code of the CONNACK; none where the connection ends without one."""
    data = b""
    while len(data) < 4:
        try:
            more = connection.recv(4 - len(data))
        except (ConnectionError, ssl.SSLError):
            return None
        if not more:
            return None
        data += more
    assert data[0] == CONNACK and data[1] == 2, data
    return data[3]


def ends(connection: socket.socket) -> bool:
    """Whether the peer ends the connection within the socket's time-out; what it sends before is read and dropped."""
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except (ConnectionError, ssl.SSLError):
        pass
    return True
