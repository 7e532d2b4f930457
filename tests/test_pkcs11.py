"""A namespace whose keys live in a PKCS#11 token: the certificate exchange, a restart, a token that is pulled out."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

from lib import arm as versions
from lib.arm import Arm
from lib.keys import b64, check_chain, csr, new_key, save_chain
from lib.plant import LOCATION, Plant, build
from lib.server import Server, binary, until
from lib.token import Token
from test_renewal_mqtt import Device, check_error

TAG = "ferrohub-key-store"


def issue(plant: Plant, device: str, folder: Path) -> None:
    """A registration with a CSR, whose chain OpenSSL takes and the hub lets in."""
    key = new_key()
    answer = plant.register(device, b64(csr(key, device)))
    assert answer.body["status"] == "assigned", answer.body
    chain = save_chain(folder, device, answer.state["issuedCertificateChain"], key)
    check_chain(folder, chain, device, key)
    with plant.connect(device, chain) as hub:
        hub.publish(f"devices/{device}/messages/events/", b"hello")


def test_keys_in_a_token(own_server: Callable[..., Server], tmp_path: Path) -> None:
    token = Token(tmp_path / "token")
    server = own_server(environment=token.environment)
    plant = build(server, "hsm", tags={TAG: "pkcs11"})
    keys = token.private_keys()
    assert len(keys) == 2, f"root and policy: {keys}"
    for key in keys:
        assert key["label"].startswith("ferrohub:") and key["Usage"] == "sign", key
        assert key["Access"] == "sensitive, always sensitive, never extractable, local", key
    issue(plant, "first", tmp_path)

    server.stop()
    server.start()
    plant.arm = Arm(server)
    issue(plant, "second", tmp_path)
    assert {key["ID"] for key in token.private_keys()} == {key["ID"] for key in keys}, "found again, not made again"

    # A backup says what it cannot have.
    saved = [str(binary()), "backup", "--data-dir", str(server.data), "--out", str(tmp_path / "b")]
    said = subprocess.run(saved, env={"FERROHUB_BACKUP_PASSPHRASE": "correct horse battery staple"}, capture_output=True, text=True)
    assert said.returncode == 0 and "2 in the key store 'pkcs11'" in said.stdout, said

    # The token is pulled out: its namespace waits for it, and nobody else does.
    other = build(server, "plain")
    token.pull_out()
    server.kill()
    server.start()
    plant.arm, other.arm = Arm(server), Arm(server)
    issue(other, "elsewhere", tmp_path)
    lost = plant.arm.send("PUT", f"{plant.namespace}/credentials/default/policies/more", versions.REGISTRY, {"location": LOCATION, "properties": {}})
    assert lost.status_code == 503 and "plant-token" in lost.text, lost.text
    answer = plant.register("third", b64(csr(new_key(), "third")))
    assert answer.status == 503 and answer.retry_after and "'plant-token' is not there" in answer.body["message"], answer
    token.plug_in()
    until("the token is used again", lambda: plant.register("fourth", b64(csr(new_key(), "fourth"))).body.get("status") == "assigned")
    issue(plant, "fifth", tmp_path)

    # Started without its token, the server says what is missing.
    server.stop()
    server.environment = {}
    server.start()
    plant.arm = Arm(server)
    lost = plant.arm.send("PUT", f"{plant.namespace}/credentials/default/policies/more", versions.REGISTRY, {"location": LOCATION, "properties": {}})
    assert lost.status_code == 503 and "with which this server was not started" in lost.text, lost.text
    secrets = [line for line in server.log if "8642" in line]
    assert not secrets, secrets
    server.stop()


def test_a_token_without_room(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """What needs a new key is refused by a sentence that says why; what needs none goes on."""
    mood = Token(tmp_path / "token").made_moody()
    server = own_server(environment=mood.environment)
    plant = build(server, "full", tags={TAG: "pkcs11"})
    mood.set("full")
    path = f"{plant.namespace}/credentials/default/policies/more"
    refused = plant.arm.send("PUT", path, versions.REGISTRY, {"location": LOCATION, "properties": {}})
    assert refused.status_code == 503 and refused.headers["Retry-After"] == "60", refused.text
    assert refused.json()["error"]["message"] == "The PKCS#11 token 'plant-token' is full; destroy keys that nobody uses, or use a larger one."
    assert plant.arm.send("GET", path, versions.REGISTRY).status_code == 404, "nothing half made stays"
    server.az("account", "show")
    created = server.run(
        "az", "iot", "adr", "ns", "policy", "create", "--namespace", f"{plant.prefix}-ns", "-g", plant.group_name, "--name", "more",
    )
    assert created.code == 1 and "'plant-token' is full" in created.stderr, created
    issue(plant, "goes-on", tmp_path)
    mood.end("full")
    plant.arm.put(path, versions.REGISTRY, {"location": LOCATION, "properties": {}})


def test_too_many_wait_for_a_token_that_hangs(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """Renewals whose turn does not come within 30 seconds are told 429003, with a time to try again; they succeed later."""
    mood = Token(tmp_path / "token").made_moody()
    server = own_server(environment=mood.environment)
    plant = build(server, "hung", tags={TAG: "pkcs11"})
    # Sixteen have their turn at a time, each of which waits 20 seconds for the token.
    devices = [Device(plant, tmp_path, f"waits-{number}") for number in range(40)]
    for device in devices:
        device.provision()
    with ExitStack() as stack:
        sessions = [stack.enter_context(device.connect()).subscribe() for device in devices]
        mood.set("hung")
        asked = {session.accepted().rid: session for session in sessions}
        late, deadline = [], time.monotonic() + 60
        while len(late) < 8 and time.monotonic() < deadline:
            time.sleep(0.2)
            late += [session.answer() for session in sessions if not session.mqtt.messages.empty()]
        assert len(late) == 8, late
        for answer in late:
            check_error(answer, 429, 429003, "waited too long for its turn; try again")
        mood.end("hung")
        # The others are carried out now, by the worker; the late ones ask again.
        for rid, session in asked.items():
            again = session.accepted().rid if rid in {answer.rid for answer in late} else rid
            assert session.answer(again).status == 200


def test_a_tag_that_says_what_is_not_there_is_refused(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    arm = Arm(server)
    group = f"{arm.subscription}/resourceGroups/keys-rg"
    arm.put(group, versions.GROUP, {"location": LOCATION})
    path = f"{group}/providers/Microsoft.DeviceRegistry/namespaces/keys-ns"
    error = arm.refused("PUT", path, versions.REGISTRY, {"location": LOCATION, "tags": {TAG: "pkcs11"}})
    assert error.code == "InvalidPropertyValue" and "'sealed'" in error.message, error
