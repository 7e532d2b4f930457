"""What Ferrohub adds to policies, as people use it: `ferrohub az` and the commands that refusals print, and devices in between."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Callable

import pytest
import requests
from cryptography.hazmat.primitives import hashes

from lib import dps
from lib.keys import b64, csr, derived, new_key, save_chain
from lib.mqtt import Refused
from lib.plant import build, enroll
from lib.server import Server


def test_policies_inventory_and_synchronization(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    plant = build(server, "policies", synchronize=False)
    ns = ["--namespace", "policies-ns", "--resource-group", "policies-rg"]
    made = server.az("iot", "adr", "ns", "policy", "create", *ns, "--name", "short", "--cert-key-type", "ECC-P521", "--cert-validity-days", "5")
    assert made["properties"]["certificate"]["certificateAuthorityConfiguration"]["keyType"] == "ECC-P521"

    def states() -> dict[str, str]:
        shown = server.az("iot", "adr", "ns", "credential", "sync-status", *ns)
        return {one["policy"]: one["state"] for one in shown}

    assert states() == {"default": "Pending", "short": "Pending"}
    server.run("az", "iot", "adr", "ns", "credential", "sync", *ns, "--policies", "short")
    assert states() == {"default": "Pending", "short": "Synchronized"}

    group_key = enroll(plant, "short", "short")
    keys = {device: new_key() for device in ("pump-1", "pump-2")}
    chains = {}
    for device, key in keys.items():
        answer = dps.register(server, plant.id_scope, device, derived(group_key, device), b64(csr(key, device)))
        assert answer.body["status"] == "assigned", answer.body
        chains[device] = save_chain(tmp_path, device, answer.state["issuedCertificateChain"], key)
    with plant.connect("pump-1", chains["pump-1"]) as hub:
        hub.publish("devices/pump-1/messages/events/", b"hello")

    # The inventory, as openssl and cryptography read the certificates.
    leaf = chains["pump-1"].leaf
    listed = server.az("iot", "adr", "ns", "certificate", "list", *ns)
    assert sorted(one["properties"]["deviceId"] for one in listed) == ["pump-1", "pump-2"]
    shown = server.az("iot", "adr", "ns", "certificate", "show", *ns, "--serial-number", f"{leaf.serial_number:X}")["properties"]
    assert (shown["deviceId"], shown["state"]) == ("pump-1", "Active")
    assert shown["thumbprint"] == leaf.fingerprint(hashes.SHA256()).hex().upper()
    assert shown["validityNotAfter"].startswith(leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%S"))
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for narrowed, count in [
        (["--device-id", "pump-2"], 1), (["--device-id", "nobody"], 0), (["--issuer", "short"], 2), (["--issuer", "default"], 0),
        (["--state", "Revoked"], 0), (["--state", "Active", "--expires-before", soon], 2), (["--expires-before", "2020-01-01T00:00:00Z"], 0),
        (["--top", "1"], 1),
    ]:
        assert len(server.az("iot", "adr", "ns", "certificate", "list", *ns, *narrowed)) == count, narrowed
    metrics = requests.get(f"http://127.0.0.1:{server.info['metricsPort']}/metrics", timeout=30).text
    assert 'ferrohub_certificates_ending{kind="device",within="7d"}' in metrics, metrics

    # Off the hub: a device of that policy is not let in; the other commands bring it back.
    server.run("az", "iot", "adr", "ns", "credential", "undo-sync", *ns, "--policies", "short", "--yes")
    assert states() == {"default": "Pending", "short": "Undone"}
    with pytest.raises(Refused):
        plant.connect("pump-1", chains["pump-1"])
    server.run("az", "iot", "adr", "ns", "credential", "sync", *ns)
    assert states() == {"default": "Synchronized", "short": "Synchronized"}
    plant.connect("pump-1", chains["pump-1"]).close()

    # Switched off, it issues nothing and says what to run; what it issued stays good.
    assert server.az("iot", "adr", "ns", "policy", "disable", *ns, "--name", "short")["properties"]["enabled"] is False
    answer = dps.register(server, plant.id_scope, "pump-3", derived(group_key, "pump-3"), b64(csr(new_key(), "pump-3")))
    assert answer.body["status"] == "failed", answer.body
    command = re.search(r"az iot adr ns policy enable .*", answer.state["errorMessage"])
    assert command, answer.state
    plant.connect("pump-1", chains["pump-1"]).close()
    server.paste(command.group(0))
    answer = dps.register(server, plant.id_scope, "pump-3", derived(group_key, "pump-3"), b64(csr(new_key(), "pump-3")))
    assert answer.body["status"] == "assigned", answer.body
