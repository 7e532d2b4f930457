"""azure-iothub 1.16.6 and azure-iot-device 1.18.4 for Node, unpatched. `node/dial.cjs` leads every name, and port 443, to the server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lib.plant import Plant

HERE = Path(__file__).resolve().parent / "node"
# Where xtask installed the packages that node/package.json names.
PACKAGES = Path(os.environ.get("FERROHUB_TEST_NODE", HERE.parent.parent / "target" / "foreign" / "node"))


@pytest.mark.parametrize("part", ["registry", "hierarchy", "device", "refused"])
def test_node(plant: Plant, part: str) -> None:
    done = subprocess.run(
        ["node", "--require", str(HERE / "dial.cjs"), str(HERE / "parts.cjs"), part],
        env={
            "PATH": os.environ["PATH"],
            "NODE_PATH": str(PACKAGES / "node_modules"),
            "NODE_EXTRA_CA_CERTS": plant.server.ca,
            "FERROHUB_TEST_HTTPS_PORT": str(plant.server.https_port),
            "IOTHUB_CONNECTION_STRING": f"HostName={plant.hub_host};SharedAccessKeyName=iothubowner;SharedAccessKey={plant.hub_key}",
        },
        text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
