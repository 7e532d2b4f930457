"""`ferrohub quickstart --once`, twice on one data folder."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import threading
from pathlib import Path

from lib.keys import b64, check_chain, csr, derived, new_key, save_chain
from lib.dps import register
from lib.server import PATIENCE_SECONDS, Output, Server, binary, until

FLAGS = ["--https-port", "0", "--mqtt-port", "0", "--metrics-port", "0"]
# The steps that make something, which a second start finds.
MADE = [
    "resource group", "role definition", "role assignment: Azure IoT Hub", "user-assigned identity", "namespace quickstart-ns",
    "credential default", "policy default", "role assignment: the identity", "hub qs-hub-", "role assignment: the namespace is Contributor",
    "role assignment: the namespace is IoT Hub Registry Contributor", "provisioning service", "linked hub", "enrollment group",
]


def environment(data: Path) -> dict[str, str]:
    return {"HOME": str(data.parent), "PATH": os.environ["PATH"]}


def quickstart(data: Path) -> Output:
    done = subprocess.run(
        [str(binary()), "quickstart", "--once", "--data-dir", str(data), *FLAGS],
        env=environment(data), text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
    )
    return Output(done.returncode, done.stdout, done.stderr)


def test_twice(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = quickstart(data)
    assert first.code == 0, first.stdout + first.stderr
    assert stat.S_IMODE((data / "owner.json").stat().st_mode) == 0o600
    for part in ("10 telemetry messages", "chain of three certificates", "desired property", str(data / "ca.pem"), str(data / "owner.json")):
        assert part in first.stdout, f"no '{part}' in\n{first.stdout}"
    owner = (data / "owner.json").read_text()

    second = quickstart(data)
    assert second.code == 0, second.stdout + second.stderr
    for step in MADE:
        line = next((line for line in second.stdout.splitlines() if f" {step}" in line and " … " in line), None)
        assert line and "… found, " in line, f"{step} was made again: {line}\n{second.stdout}"
    assert (data / "owner.json").read_text() == owner

    # What it made serves a client that is not its own.
    server = Server(data).start()
    try:
        dps = server.az("iot", "dps", "list")[0]
        keys = server.az("iot", "dps", "enrollment-group", "show", "--dps-name", dps["name"], "--eid", "quickstart-group", "--show-keys")
        device, key = "quickstart-second", new_key()
        secret = derived(keys["attestation"]["symmetricKey"]["primaryKey"], device)
        answer = register(server, dps["properties"]["idScope"], device, secret, b64(csr(key, device)))
        assert answer.body["status"] == "assigned", answer.body
        check_chain(tmp_path, save_chain(tmp_path, device, answer.state["issuedCertificateChain"], key), device, key)
        events = server.run("events", dps["properties"]["iotHubs"][0]["name"].split(".")[0])
        assert events.code == 0 and len(events.stdout.splitlines()) == 20, events.stdout + events.stderr
    finally:
        server.stop()


def test_a_step_that_fails_ends_it_with_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert quickstart(data).code == 0
    server = Server(data).start()
    server.az("group", "delete", "--name", "quickstart-rg", "--yes")
    owner = server.owner
    server.stop()
    # A password that is no longer the owner's.
    (data / "owner.json").write_text((data / "owner.json").read_text().replace(owner["clientSecret"], "x" * 40))
    failed = quickstart(data)
    assert failed.code != 0 and "AADSTS" in failed.stdout + failed.stderr, failed.stdout + failed.stderr


def test_without_once_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = subprocess.Popen(
        [str(binary()), "quickstart", "--data-dir", str(data), *FLAGS],
        env=environment(data), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
    reader.start()
    try:
        until("the quickstart is done", lambda: any(line.startswith("Done: ") for line in lines))
        server = Server(data)
        server.info = json.loads((data / "server.json").read_text())
        assert [one["name"] for one in server.az("iot", "adr", "ns", "list")] == ["quickstart-ns"]
        assert process.poll() is None, "it ended by itself"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0, "".join(lines)
    finally:
        process.kill()
        process.wait()
    reader.join()
