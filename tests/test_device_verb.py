"""`ferrohub device run --stay`: a device's life against the server: its twin, another certificate, a server that ends and comes back."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from lib.plant import Plant, build
from lib.server import Server, binary


class Device:
    """The program as a child process whose lines can be waited for."""

    def __init__(self, plant: Plant, name: str, *more: str) -> None:
        arguments = ["device", "run", "--data-dir", str(plant.server.data), "--id-scope", plant.id_scope, "--registration-id", name]
        self.name = name
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self.process = subprocess.Popen(
            [str(binary()), *arguments, *more], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def says(self, text: str, seconds: float = 40) -> str:
        """Waits for a line with `text`; gives it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {text!r} in\n" + "\n".join(self.seen)) from None
            self.seen.append(line)
            if text in line:
                return line

    def stop(self) -> None:
        """Ctrl-C ends it well and at once."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 0, "\n".join(self.seen)


@pytest.fixture
def device() -> Iterator[Callable[..., Device]]:
    started: list[Device] = []

    def start(plant: Plant, name: str, *more: str) -> Device:
        started.append(Device(plant, name, *more))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()


def test_a_life_with_a_certificate(plant: Plant, device: Callable[..., Device]) -> None:
    name = "verb-stays"
    life = device(plant, name, "--group-key", plant.group_key, "--csr", "--stay", "--interval", "200")
    life.says(f"assigned to {plant.hub_host} as {name}")
    life.says("asks for another one at ")
    life.says("twin: desired ")
    life.says("1 message acknowledged")
    changed = plant.hub_rest("PATCH", f"/twins/{name}", {"properties": {"desired": {"interval": 7}}})
    assert changed.status_code == 200, changed.text
    assert '"interval":7' in life.says("desired properties, version 2: ")
    life.says("1 message acknowledged")
    life.stop()
    assert plant.hub_rest("GET", f"/devices/{name}").json()["connectionState"] in ("Connected", "Disconnected")


def test_another_certificate_is_asked_for_when_its_time_has_come(plant: Plant, device: Callable[..., Device]) -> None:
    name = "verb-renews"
    life = device(plant, name, "--group-key", plant.group_key, "--csr", "--stay", "--interval", "500", "--renew-at", "0")
    first = life.says("has certificate ").split("certificate ")[1].split()[0]
    life.says("asks the hub for another certificate")
    second = life.says("has certificate ").split("certificate ")[1].split()[0]
    assert first != second
    life.says("connected in ")
    life.says("1 message acknowledged")
    assert not [line for line in life.seen if "Asks DPS" in line], life.seen
    life.stop()


def test_whoever_is_refused_by_its_hub_registers_again(plant: Plant, device: Callable[..., Device]) -> None:
    name = "verb-again"
    life = device(plant, name, "--group-key", plant.group_key, "--csr", "--stay", "--interval", "200")
    life.says("1 message acknowledged")
    assert plant.hub_rest("DELETE", f"/devices/{name}", If_Match="*").status_code == 204
    life.says("Goes on in 1.00 s.")
    life.says("assigned to ")
    life.says("has certificate ")
    life.says("1 message acknowledged")
    life.stop()


def test_a_server_that_ends_and_comes_back(own_server: Callable[..., Server], device: Callable[..., Device]) -> None:
    server = own_server()
    plant = build(server, "verb")
    life = device(plant, "verb-returns", "--key", plant.key("verb-returns"), "--stay", "--interval", "100", "--server", f"127.0.0.1:{server.mqtt_port}")
    life.says("1 message acknowledged")
    port = server.mqtt_port
    server.kill()
    life.says("Goes on in 1.00 s.")
    server.mqtt_argument = port
    server.start()
    life.says("connected in ", 60)
    life.says("1 message acknowledged")
    # Disabled, it is refused at the hub and by DPS, and tries on.
    identity = plant.hub_rest("GET", "/devices/verb-returns").json()
    identity["status"] = "disabled"
    assert plant.hub_rest("PUT", "/devices/verb-returns", identity, If_Match="*").status_code == 200
    assert "Goes on in" in life.says("refused the connection of 'verb-returns'")
    life.stop()


def test_what_cannot_begin_ends_with_a_sentence(plant: Plant, device: Callable[..., Device]) -> None:
    wrong = device(plant, "verb-wrong", "--key", plant.key("another"), "--stay")
    assert wrong.process.wait(30) == 1
    wrong.says("MQTT return code 5")
    nothing = device(plant, "verb-nothing")
    assert nothing.process.wait(30) == 1
    nothing.says("--certificate")


def test_names_that_are_looked_up(plant: Plant, tmp_path: Path) -> None:
    """`--azure`: the names of DPS and hub are looked up, in a hosts file of its own, port 8883 is dialled, and the CA is trusted by SSL_CERT_FILE."""
    name, host = "verb-looked-up", "global.azure-devices-provisioning.localhost"
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {host} {plant.hub_host}\n")
    arguments = ["--azure", "--id-scope", plant.id_scope, "--registration-id", name, "--group-key", plant.group_key, "--csr"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        program = [str(binary()), "device", "run", *arguments, *more]
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", command, "sh", str(hosts), *program], text=True, capture_output=True, timeout=60,
            stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SSL_CERT_FILE": plant.server.ca},
        )

    done = run("--host", host)
    assert done.returncode == 0 and f"assigned to {plant.hub_host} as {name}" in done.stdout, done.stdout + done.stderr
    hosts.write_text("127.0.0.1 localhost\n")
    nowhere = run("--host", host)
    assert nowhere.returncode == 1 and host in nowhere.stderr, nowhere
