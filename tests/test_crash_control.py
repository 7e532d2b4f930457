"""kill -9 while the control plane is in the middle of something long: a move between resource groups, the delete of a namespace with
what lies below it. Afterwards things stand as a client could have asked for, and the operation ends."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import requests

from lib import arm as versions
from lib.arm import Arm
from lib.plant import LOCATION
from lib.server import Server, until

NEWEST = "2026-11-02-preview"
MOVED = 350
DEVICES = 300
TURNS = 4
SEED = 14


def group(arm: Arm, name: str) -> str:
    path = f"{arm.subscription}/resourceGroups/{name}"
    arm.put(path, versions.GROUP, {"location": LOCATION})
    return path


def in_parallel(arm: Arm, bodies: dict[str, Any], version: str) -> None:
    """PUTs many, several at once."""
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda one: arm.call("PUT", one[0], version, one[1]), bodies.items()):
            pass


def names(arm: Arm, path: str, version: str) -> set[str]:
    """Names of a list, all pages."""
    found: set[str] = set()
    page = arm.get(path, version)
    while True:
        found |= {one["name"] for one in page["value"]}
        if not page.get("nextLink"):
            return found
        page = arm.call("GET", page["nextLink"], "")


def swallowed(work: Callable[[], Any]) -> threading.Thread:
    """Starts what the end of the server will cut off."""

    def run() -> None:
        try:
            work()
        except requests.RequestException:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def running(server: Server, work: Callable[[], Any], after: float) -> Arm:
    """Kills the server so many seconds after `work` began, and starts it again."""
    thread = swallowed(work)
    time.sleep(after)
    server.kill()
    thread.join()
    server.start()
    return Arm(server)


def test_a_move_ends_whole(own_server: Callable[..., Server]) -> None:
    server, moments = own_server(), random.Random(SEED)
    arm = Arm(server)
    here, there = group(arm, "here-rg"), group(arm, "there-rg")
    kind = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    wanted = {f"identity-{number:03}" for number in range(MOVED)}
    in_parallel(arm, {f"{here}/{kind}/{name}": {"location": LOCATION} for name in wanted}, versions.IDENTITY)

    def move(source: str, target: str) -> None:
        ids = [f"{source}/{kind}/{name}" for name in sorted(wanted)]
        arm.call("POST", f"{source}/moveResources", versions.GROUP, {"targetResourceGroup": target, "resources": ids})

    begun = time.monotonic()
    move(here, there)
    took = time.monotonic() - begun
    source, target = there, here
    for turn in range(TURNS):
        arm = running(server, lambda: move(source, target), moments.uniform(0, took))
        # Not begun, or carried to its end by whoever came after.
        at = lambda path: names(arm, f"{path}/{kind}", versions.IDENTITY)
        until(f"turn {turn}: the move ends", lambda: {len(at(source)), len(at(target))} == {0, MOVED})
        assert at(source) | at(target) == wanted
        if not at(source):
            source, target = target, source
        for name in ("identity-000", f"identity-{MOVED - 1:03}"):
            assert arm.send("GET", f"{source}/{kind}/{name}", versions.IDENTITY).status_code == 200
            assert arm.send("GET", f"{target}/{kind}/{name}", versions.IDENTITY).status_code == 404
        # Nothing holds the groups: another move goes through.
        one = {"targetResourceGroup": target, "resources": [f"{source}/{kind}/identity-000"]}
        arm.call("POST", f"{source}/moveResources", versions.GROUP, one)
        one = {"targetResourceGroup": source, "resources": [f"{target}/{kind}/identity-000"]}
        arm.call("POST", f"{target}/moveResources", versions.GROUP, one)


def furnish(arm: Arm, namespace: str) -> None:
    """A namespace with its authorities and devices."""
    arm.put(namespace, versions.REGISTRY, {"location": LOCATION})
    arm.put(f"{namespace}/credentials/default", versions.REGISTRY, {"location": LOCATION})
    arm.put(f"{namespace}/credentials/default/policies/default", versions.REGISTRY, {"location": LOCATION, "properties": {}})
    body = {"location": LOCATION, "properties": {"enabled": True}}
    in_parallel(arm, {f"{namespace}/devices/device-{number:03}": body for number in range(DEVICES)}, versions.REGISTRY)


def test_the_delete_of_a_namespace_ends(own_server: Callable[..., Server]) -> None:
    server, moments = own_server(), random.Random(SEED)
    arm = Arm(server)
    namespace = f"{group(arm, 'doomed-rg')}/providers/Microsoft.DeviceRegistry/namespaces/doomed-ns"
    furnish(arm, namespace)
    begun = time.monotonic()
    arm.delete(namespace, versions.REGISTRY)
    took = time.monotonic() - begun
    furnish(arm, namespace)
    for turn in range(TURNS):
        arm = running(server, lambda: arm.delete(namespace, versions.REGISTRY), moments.uniform(0, took))
        answer = arm.send("GET", namespace, versions.REGISTRY)
        state = answer.json().get("properties", {}).get("provisioningState")
        if answer.status_code == 200 and state == "Succeeded":
            # It came too early: all is there.
            assert len(names(arm, f"{namespace}/devices", versions.REGISTRY)) == DEVICES
            assert arm.get(f"{namespace}/credentials/default/policies/default", versions.REGISTRY)
            continue
        until(f"turn {turn}: the delete ends", lambda: arm.send("GET", namespace, versions.REGISTRY).status_code == 404)
        for below in ("devices/device-000", "credentials/default", "credentials/default/policies/default"):
            assert arm.send("GET", f"{namespace}/{below}", versions.REGISTRY).status_code == 404, below
        # Its name is free, and nothing of the old one shows in the new one.
        arm.put(namespace, versions.REGISTRY, {"location": LOCATION})
        assert names(arm, f"{namespace}/devices", versions.REGISTRY) == set()
        furnish(arm, namespace)
