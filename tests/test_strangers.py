"""What those without any right can do to a running server, seen from outside: memory, places, tries, and the log."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Callable, Iterator

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from lib.arm import token
from lib.server import Server

MEGABYTE = 1 << 20


def connect(server: Server, port: str, source: str = "127.0.0.1") -> socket.socket:
    """A TCP connection from an address of this machine."""
    return socket.create_connection(("127.0.0.1", server.info[port]), timeout=10, source_address=(source, 0))


def resident(server: Server) -> int:
    """Bytes of memory that the server holds."""
    assert server.process
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * 4096


@pytest.fixture
def server_with_text(own_server: Callable[..., Server]) -> Iterator[Server]:
    yield own_server(flags=["--log-format", "text", "--log-level", "debug"])


def test_bodies_without_credentials_hold_no_memory(own_server: Callable[..., Server]) -> None:
    server = own_server()
    trust = ssl.create_default_context(cafile=server.ca)
    before, held = resident(server), []

    def hold() -> None:
        stream = trust.wrap_socket(connect(server, "httpsPort"), server_hostname="localhost")
        held.append(stream)
        head = "PUT /subscriptions/x/resourceGroups/g?api-version=2024-11-01 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n"
        try:
            stream.sendall(head.encode() + b"x" * 3_999_999)
        except OSError:
            pass  # The server has answered and closed.

    threads = [threading.Thread(target=hold) for _ in range(120)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    during = resident(server)
    for thread in threads:
        thread.join()
    assert during - before < 100 * MEGABYTE, f"{(during - before) // MEGABYTE} MB"
    assert requests.get(f"{server.url}/metadata/endpoints?api-version=2022-09-01", verify=server.ca, timeout=5).status_code == 200
    for stream in held:
        stream.close()


def test_silent_connections_of_one_address_keep_nobody_out(own_server: Callable[..., Server]) -> None:
    server = own_server()
    held = []
    for port in ("httpsPort", "mqttPort", "metricsPort"):
        for _ in range(600):
            stream = connect(server, port, "127.0.0.7")
            stream.sendall(b"GET /healthz HTTP/1.1\r\nhost: ")
            held.append(stream)
    begun = time.monotonic()
    assert requests.get(f"{server.url}/metadata/endpoints?api-version=2022-09-01", verify=server.ca, timeout=5).status_code == 200
    for path in ("healthz", "readyz"):
        assert requests.get(f"http://127.0.0.1:{server.info['metricsPort']}/{path}", timeout=5).status_code == 200
    assert time.monotonic() - begun < 5
    for stream in held:
        stream.close()


def test_wrong_secrets_meet_a_delay_that_libraries_obey(own_server: Callable[..., Server]) -> None:
    server = own_server()
    owner = server.owner
    statuses = [token(server, owner["clientId"], "wrong").status_code for _ in range(100)]
    assert statuses[:10] == [401] * 10 and statuses.count(429) > 60, statuses
    refused = token(server, owner["clientId"], "wrong")
    assert refused.status_code == 429 and 1 <= int(refused.headers["Retry-After"]) <= 61, refused.headers
    # The owner's own secret works at this address all the while.
    assert token(server, owner["clientId"], owner["clientSecret"]).status_code == 200
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], "wrong", authority=server.url, disable_instance_discovery=True, connection_verify=server.ca
    )
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential.get_token("https://management.azure.com/.default")


def test_resources_that_are_not_served_get_no_tokens(own_server: Callable[..., Server]) -> None:
    server = own_server()
    owner = server.owner
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=server.url, disable_instance_discovery=True,
        connection_verify=server.ca,
    )
    for resource in (server.url, f"{server.url}/graph", "https://management.azure.com", "https://graph.microsoft.com", "https://iothubs.azure.net"):
        assert credential.get_token(f"{resource}/.default").token
    with pytest.raises(ClientAuthenticationError, match="AADSTS500011"):
        credential.get_token("https://vault.azure.net/.default")
    forged = requests.post(
        f"{server.url}/{owner['tenantId']}/oauth2/v2.0/token", verify=server.ca, timeout=10, headers={"Host": "192.0.2.7:8443"},
        data={
            "client_id": owner["clientId"], "client_secret": owner["clientSecret"], "grant_type": "client_credentials",
            "scope": "https://192.0.2.7:8443/.default",
        },
    )
    assert forged.status_code == 400 and forged.json()["error"] == "invalid_resource", forged.text


def test_a_client_writes_no_lines_into_the_log(server_with_text: Server) -> None:
    server = server_with_text
    evil = "x\nFORGED\x1b[31mred\u202e"
    token(server, evil, "y")
    quoted = requests.utils.quote(evil)
    requests.get(f"{server.url}/subscriptions/{quoted}?api-version=2022-12-01", verify=server.ca, timeout=10)
    requests.get(f"{server.url}/{quoted}", verify=server.ca, timeout=10)
    trust = ssl.create_default_context(cafile=server.ca)
    user = f"hub1.azure-devices.localhost/d1/?api-version=2021-04-12&DeviceClientType={evil}".encode()
    fields = b"".join(len(text).to_bytes(2, "big") + text for text in (evil.encode(), user, evil.encode()))
    variable = b"\x00\x04MQTT\x04\xc2\x00\x3c" + fields
    with trust.wrap_socket(connect(server, "mqttPort"), server_hostname="localhost") as stream:
        stream.sendall(b"\x10" + bytes([len(variable) % 128 | 0x80, len(variable) // 128]) + variable)
        stream.recv(4)
    time.sleep(0.3)
    assert any("FORGED" in line for line in server.log), "the names are in the log"
    for line in server.log:
        assert not line.startswith("FORGED") and "\x1b" not in line and "\u202e" not in line, line
