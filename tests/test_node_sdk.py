"""azure-iothub 1.16.6, azure-iot-device 1.18.4 and azure-iot-provisioning-device 1.9.1 for Node, unpatched. `node/dial.cjs` leads every name, and port 443, to the server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lib.plant import Plant
from test_device_sdk import issued

HERE = Path(__file__).resolve().parent / "node"
# Where xtask installed the packages that node/package.json names.
PACKAGES = Path(os.environ.get("FERROHUB_TEST_NODE", HERE.parent.parent / "target" / "foreign" / "node"))


@pytest.mark.parametrize("part", ["registry", "hierarchy", "device", "refused"])
def test_node(plant: Plant, part: str) -> None:
    run(plant, part)


def test_node_over_websocket(plant: Plant, tmp_path: Path) -> None:
    device = "node-ws"
    chain = issued(plant, f"{device}-x509", tmp_path)
    run(plant, "webSocket", {
        "DEVICE_ID": device, "DEVICE_KEY": plant.key(device), "ID_SCOPE": plant.id_scope, "CHAIN_ID": f"{device}-x509",
        "CHAIN_FILE": str(chain.certificate_file), "CHAIN_KEY_FILE": str(chain.key_file),
    })


def run(plant: Plant, part: str, variables: dict[str, str] | None = None) -> None:
    """Runs a part of `node/parts.cjs`, which throws where it fails."""
    done = subprocess.run(
        ["node", "--require", str(HERE / "dial.cjs"), str(HERE / "parts.cjs"), part],
        env={
            "PATH": os.environ["PATH"],
            "NODE_PATH": str(PACKAGES / "node_modules"),
            "NODE_EXTRA_CA_CERTS": plant.server.ca,
            "FERROHUB_TEST_HTTPS_PORT": str(plant.server.https_port),
            "IOTHUB_CONNECTION_STRING": f"HostName={plant.hub_host};SharedAccessKeyName=iothubowner;SharedAccessKey={plant.hub_key}",
            **(variables or {}),
        },
        text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
