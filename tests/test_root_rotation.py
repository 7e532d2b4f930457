"""The root of a namespace is followed by another one (ADR 0050), through the program: what devices have stays good, what they get
is below the next root, and whoever trusts either finds its lists and its certificate."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lib import arm as versions
from lib.arm import Arm
from lib.keys import Chain, check_chain, pem
from lib.plant import Plant, build
from lib.published import authorities, verdict
from lib.server import Server, until
from test_renewal_mqtt import Device

ROTATE = "credentials/default/rotate"
NEWER = "2026-11-02-preview"
TURNS = 3
SEED = 11


def rotate(plant: Plant) -> dict[str, Any]:
    """Asks for it by the API and follows the operation; the answer at its `Location`."""
    answer = plant.arm.send("POST", f"{plant.namespace}/{ROTATE}", versions.REGISTRY)
    assert answer.status_code == 202, answer.text
    plant.arm.finish(answer)
    last = plant.arm.session.get(answer.headers["Location"], headers={"Authorization": f"Bearer {plant.arm.bearer}"}, timeout=60)
    assert last.status_code == 200, last.text
    return dict(last.json())


def judge(folder: Path, chain: Chain, root: x509.Certificate, other: x509.Certificate) -> None:
    """The chain ends at `root`, with lists and CA certificates where it says; who trusts `other` alone refuses it."""
    assert chain.certificates[2] == root
    assert authorities(chain) == chain.certificates[1:]
    good = verdict(folder, chain)
    assert good.returncode == 0 and good.stdout.strip() == "leaf.pem: OK", good.stdout + good.stderr
    bad = verdict(folder, chain, other)
    assert bad.returncode != 0 and "unable to get" in bad.stdout + bad.stderr, bad.stdout + bad.stderr


def test_a_root_is_rotated_while_devices_live(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server(flags=["--pki-port", "0"])
    plant = build(server, "rooted")
    old = Device(plant, tmp_path, "old-pump").provision()
    former = old.chain.certificates[2]
    with old.connect().subscribe() as live:
        shown = rotate(plant)
        root = x509.load_pem_x509_certificate(shown["certificate"].encode())
        assert root != former and root.subject != former.subject and root.public_key() != former.public_key()
        assert shown["thumbprint"].replace(":", "").lower() == root.fingerprint(hashes.SHA256()).hex(), shown
        assert len(plant.hub_certificates()) == 2, "the hub trusts both issuing CAs"
        # The connection of before lives on; what it gets now is below the next root.
        renewed = live.issued(live.accepted())
    old.connect().mqtt.close()
    new = Device(plant, tmp_path, "new-pump").provision()
    check_chain(tmp_path, new.chain, new.name, new.key)
    with new.connect() as connected:
        connected.mqtt.publish(f"devices/{new.name}/messages/events/", b"hello")
    judge(tmp_path, old.chain, former, root)
    for chain in (renewed, new.chain):
        judge(tmp_path, chain, root, former)

    server.stop()
    server.start()
    plant.arm, plant.session = Arm(server), requests.Session()
    for chain in (old.chain, renewed):
        old.connect(chain=chain).mqtt.close()
    assert rotate(plant)["subject"] not in (former.subject.rfc4514_string(), root.subject.rfc4514_string())


def test_the_commands_of_the_howto(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """`credential rotate`, then `ca rotate`, each while the plant works; the activity log has both, with their ends."""
    server = own_server(flags=["--pki-port", "0"])
    plant = build(server, "twice")
    device, roots = Device(plant, tmp_path, "pump"), []
    names = ["--namespace", plant.namespace.rsplit("/", 1)[1], "--resource-group", plant.group_name]
    ca = server.az("iot", "adr", "ns", "ca", "list", *names)
    name = next(one["name"] for one in ca if one["properties"]["certificateAuthorityType"] == "Root")
    for command in (["credential", "rotate"], ["ca", "rotate", "--name", name]):
        chain = device.provision().chain
        file = tmp_path / "root.json"
        file.write_text(json.dumps(server.az("iot", "adr", "ns", *command, *names, "--yes")))
        root = x509.load_pem_x509_certificate(json.loads(file.read_text())["certificate"].encode())
        device.connect(chain=chain).mqtt.close()
        roots += [chain.certificates[2], root]
    assert roots[1] == roots[2], "what is registered in between is below the first of them"
    chain = device.provision().chain
    judge(tmp_path, chain, roots[3], roots[0])
    (tmp_path / "all.pem").write_bytes(b"".join(pem(root) for root in (roots[0], roots[1], roots[3])))
    strict = ["openssl", "verify", "-x509_strict", "-CAfile", "all.pem", "-untrusted", "issuing.pem", "leaf.pem"]
    done = subprocess.run(strict, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, "roots of a namespace stand beside each other in a trust store: " + done.stderr
    rows = plant.arm.get(
        f"{plant.arm.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
        f"?$filter=eventTimestamp ge '2020-01-01T00:00:00Z' and resourceGroupName eq '{plant.group_name}'", "2015-04-01",
    )["value"]
    ended = [row for row in rows if row["operationName"]["value"].lower().endswith("/rotate/action") and row["status"]["value"] == "Succeeded"]
    assert len(ended) == 2, [row["operationName"]["value"] for row in rows]


def test_a_rotation_outlives_the_crash(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """Killed at a random moment of it: the root that signs is the one above what is issued, and whatever was issued opens the hub."""
    server, moments = own_server(), random.Random(SEED)
    plant = build(server, "killed")
    device, rotated = Device(plant, tmp_path, "pump").provision(), 0
    chains, begun = [device.chain], time.monotonic()
    rotate(plant)
    whole = time.monotonic() - begun
    chains.append(device.provision().chain)
    for turn in range(TURNS):
        asking = threading.Thread(target=ask_and_do_not_care, args=(plant,))
        asking.start()
        time.sleep(whole * moments.uniform(0.1, 1.0))
        server.kill()
        asking.join()
        server.start()
        plant.arm, plant.session = Arm(server), requests.Session()

        def settled() -> Chain | None:
            """What a fresh registration gets, once that is below the root that signs now."""
            chain = device.provision().chain
            shown = plant.arm.get(f"{plant.namespace}/certificateAuthorities/default-root", NEWER)
            return chain if shown["properties"]["subject"] == chain.certificates[2].subject.rfc4514_string() else None

        chain = until(f"turn {turn}: what is below the root has moved", settled, 60)
        check_chain(tmp_path, chain, device.name, device.key)
        rotated += chain.certificates[2] != chains[-1].certificates[2]
        chains.append(chain)
        for each in chains:
            device.connect(chain=each).mqtt.close()
    assert rotated, f"seed {SEED}: every crash came before the rotation was taken"
    assert len(plant.hub_certificates()) == rotated + 2, "one entry for each issuing CA that somebody's leaf is below"


def ask_and_do_not_care(plant: Plant) -> None:
    try:
        plant.arm.send("POST", f"{plant.namespace}/{ROTATE}", versions.REGISTRY)
    except requests.RequestException:
        pass
