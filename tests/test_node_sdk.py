"""azure-iothub 1.16.6, azure-iot-device 1.18.4 and azure-iot-provisioning-* for Node, unpatched. `node/dial.cjs` leads every name, and port 443, to the server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lib.keys import make_chain
from lib.plant import Plant
from test_device_sdk import issued

HERE = Path(__file__).resolve().parent / "node"
# Where xtask installed the packages that node/package.json names.
PACKAGES = Path(os.environ.get("FERROHUB_TEST_NODE", HERE.parent.parent / "target" / "foreign" / "node"))


@pytest.mark.parametrize("part", ["registry", "hierarchy", "lists", "modules", "device", "refused"])
def test_node(plant: Plant, part: str) -> None:
    run(plant, "parts.cjs", part)


def test_node_over_websocket(plant: Plant, tmp_path: Path) -> None:
    device = "node-ws"
    chain = issued(plant, f"{device}-x509", tmp_path)
    files = {"CHAIN_FILE": str(chain.certificate_file), "CHAIN_KEY_FILE": str(chain.key_file)}
    ids = {"DEVICE_ID": device, "DEVICE_KEY": plant.key(device), "ID_SCOPE": plant.id_scope, "CHAIN_ID": f"{device}-x509"}
    run(plant, "parts.cjs", "webSocket", **ids, **files)


@pytest.mark.parametrize("part", ["individuals", "groups", "policies", "refused", "keys", "registrations", "certificates"])
def test_node_provisioning(plant: Plant, tmp_path: Path, part: str) -> None:
    """The provisioning service's SDK, and devices over MQTT, WebSocket and HTTPS, by key and by certificate."""
    root = make_chain(tmp_path, "node-factory", None, ca=True)
    files = {"ROOT": root, "OWN": make_chain(tmp_path, "node-own", None), "SIGNED": make_chain(tmp_path, "node-signed", root)}
    names = {f"FERROHUB_TEST_{name}": str(tmp_path / chain.certificate_file.stem) for name, chain in files.items()}
    service = f"HostName={plant.dps_host};SharedAccessKeyName=provisioningserviceowner;SharedAccessKey={plant.dps_key}"
    run(plant, "provisioning.cjs", part, DPS_CONNECTION_STRING=service, DPS_ID_SCOPE=plant.id_scope, **names)


def run(plant: Plant, script: str, part: str, **more: str) -> str:
    """Runs a part of a script, which throws where it fails; gives what it printed."""
    done = subprocess.run(
        ["node", "--require", str(HERE / "dial.cjs"), str(HERE / script), part],
        env={
            **more,
            "PATH": os.environ["PATH"],
            "NODE_PATH": str(PACKAGES / "node_modules"),
            "NODE_EXTRA_CA_CERTS": plant.server.ca,
            "FERROHUB_TEST_HTTPS_PORT": str(plant.server.https_port),
            "IOTHUB_CONNECTION_STRING": f"HostName={plant.hub_host};SharedAccessKeyName=iothubowner;SharedAccessKey={plant.hub_key}",
        },
        text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
