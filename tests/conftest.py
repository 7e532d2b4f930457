"""What the tests share: one server on the device SDKs' fixed port, one installation on it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Callable, Iterator

import pytest

from lib.arm import Arm
from lib.plant import Plant, build
from lib.server import Server

# azure-iot-device has this port built in.
SDK_MQTT_PORT = 8883

# A machine's own trust settings win over what a client is told in code; these tests name their CA themselves.
for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy"):
    os.environ.pop(variable, None)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lives as long as the session."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", SDK_MQTT_PORT))
        except OSError as error:
            pytest.exit(f"Port {SDK_MQTT_PORT} is taken ({error}), and azure-iot-device dials no other; stop what listens there.", 2)
    running = Server(tmp_path_factory.mktemp("server") / "data", mqtt_port=SDK_MQTT_PORT).start()
    yield running
    assert running.alive, "the server ended during the tests\n" + "\n".join(running.log[-20:])
    running.stop()
    panics = [line for line in running.log if "panicked" in line]
    assert not panics, "\n".join(panics)


@pytest.fixture(scope="session")
def arm(server: Server) -> Arm:
    """The owner."""
    return Arm(server)


@pytest.fixture(scope="session")
def plant(server: Server) -> Plant:
    """An installation that tests use and do not break."""
    return build(server, "shared")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that belong to one test."""
    started: list[Server] = []

    def start(**options: object) -> Server:
        server = Server(tmp_path / f"own{len(started)}" / "data", **options)  # type: ignore[arg-type]
        server.data.parent.mkdir()
        started.append(server)
        return server.start()

    yield start
    for server in started:
        if server.alive:
            server.kill()
