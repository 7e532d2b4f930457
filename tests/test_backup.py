"""Backups: opened by the age tool of the system, killed at random moments, restored after messages that go on coming."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable

from lib.arm import Arm
from lib.keys import b64, csr, new_key, save_chain
from lib.plant import build
from lib.server import Server, binary

PASSPHRASE = "correct horse battery staple"


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", **variables}
    return subprocess.run([str(binary()), *arguments], capture_output=True, text=True, env=environment)


def good(output: subprocess.CompletedProcess[str]) -> str:
    assert output.returncode == 0, output.stdout + output.stderr
    return output.stdout


def test_the_age_tool_opens_a_backup(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    subprocess.run(["age-keygen", "-o", str(tmp_path / "key.txt")], check=True, capture_output=True)
    public = next(line.split()[-1] for line in (tmp_path / "key.txt").read_text().splitlines() if "public key" in line)
    saved = tmp_path / "a.backup"
    good(run(tmp_path, "backup", "--data-dir", str(server.data), "--out", str(saved), "--recipient", public))
    with (tmp_path / "a.tar").open("wb") as out:
        subprocess.run(["age", "--decrypt", "-i", str(tmp_path / "key.txt"), str(saved)], check=True, stdout=out)
    listed = subprocess.run(["tar", "--list", "--file", str(tmp_path / "a.tar")], check=True, capture_output=True, text=True).stdout.split()
    assert listed[0] == "backup.json" and listed[-1] == "sums.json", listed
    assert {"store.db", "master.key", "owner.json"} <= set(listed) and any(name.endswith(".log") for name in listed)
    subprocess.run(["tar", "--extract", "--file", str(tmp_path / "a.tar"), "--directory", str(tmp_path)], check=True)
    for name, wanted in json.loads((tmp_path / "sums.json").read_text()).items():
        found = subprocess.run(["sha256sum", str(tmp_path / name)], check=True, capture_output=True, text=True).stdout.split()[0]
        assert found == wanted["sha256"], name
    # And the other way round: what age encrypts, a restore opens.
    again = tmp_path / "b.backup"
    subprocess.run(["age", "-r", public, "-o", str(again), str(tmp_path / "a.tar")], check=True)
    good(run(tmp_path, "restore", str(again), "--data-dir", str(tmp_path / "second"), "--identity", str(tmp_path / "key.txt")))
    server.stop()


def test_what_was_acknowledged_before_a_backup_is_in_it(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    plant = build(server, "backup")
    key = new_key()
    answer = plant.register("talker", b64(csr(key, "talker")))
    assert answer.body["status"] == "assigned", answer.body
    chain = save_chain(tmp_path, "talker", answer.state["issuedCertificateChain"], key)
    acknowledged, stopping = [0], threading.Event()

    def talk() -> None:
        with plant.connect("talker", chain) as hub:
            while not stopping.is_set():
                hub.publish("devices/talker/messages/events/", str(acknowledged[0]).encode())
                acknowledged[0] += 1

    talker = threading.Thread(target=talk)
    talker.start()
    saved: list[tuple[int, Path]] = []
    try:
        for number in range(3):
            time.sleep(1)
            before, out = acknowledged[0], tmp_path / f"{number}.backup"
            good(run(tmp_path, "backup", "--data-dir", str(server.data), "--out", str(out), FERROHUB_BACKUP_PASSPHRASE=PASSPHRASE))
            saved.append((before, out))
    finally:
        stopping.set()
        talker.join()
    server.kill()
    assert 0 < saved[0][0] < saved[1][0] < saved[2][0], f"messages went on all the time: {saved}"
    for number, (before, file) in enumerate(saved):
        data = tmp_path / f"restored{number}"
        good(run(tmp_path, "restore", str(file), "--data-dir", str(data), FERROHUB_BACKUP_PASSPHRASE=PASSPHRASE))
        restored = Server(data).start()
        events = good(run(tmp_path, "events", plant.hub_name, "--data-dir", str(data), "--json")).splitlines()
        assert len(events) >= before, f"backup {number} has {len(events)} messages; {before} were acknowledged before it began"
        plant.server, plant.arm = restored, Arm(restored)
        answer = plant.register(f"later-{number}", b64(csr(new_key(), f"later-{number}")))
        assert answer.body["status"] == "assigned", "its certificate authorities sign"
        restored.stop()
        plant.server = server


def test_killed_backups_and_restores_leave_nothing_half(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    build(server, "killed")
    server.stop()
    whole = tmp_path / "whole.backup"
    # A key instead of a passphrase: scrypt would take most of the time.
    public = good(run(tmp_path, "backup-key", "--out", str(tmp_path / "key"))).split()[0]
    begun = time.monotonic()
    good(run(tmp_path, "backup", "--data-dir", str(server.data), "--out", str(whole), "--recipient", public))
    took = time.monotonic() - begun
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    chance = random.Random(7)
    restore = ["restore", str(whole), "--identity", str(tmp_path / "key")]
    for number in range(20):
        out = tmp_path / f"{number}.backup"
        words = ["backup", "--data-dir", str(server.data), "--out", str(out), "--recipient", public]
        process = subprocess.Popen([str(binary()), *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, took))
        process.kill()
        process.wait()
        if out.exists():
            good(run(tmp_path, "restore", str(out), "--data-dir", str(tmp_path / f"of{number}"), "--identity", str(tmp_path / "key")))
        target = tmp_path / f"target{number}"
        process = subprocess.Popen([str(binary()), *restore, "--data-dir", str(target)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, took))
        process.kill()
        process.wait()
        if (target / "restoring").exists():
            refused = run(tmp_path, "doctor", "--data-dir", str(target))
            assert refused.returncode != 0
            good(run(tmp_path, *restore, "--data-dir", str(target)))
        elif not (target / "store.db").exists():
            good(run(tmp_path, *restore, "--data-dir", str(target)))
        restored = Server(target).start()
        restored.stop()
    server.start()
    assert not list(server.data.glob("store.db.copy*")), "a start removes what a killed backup left"
    server.stop()
