"""The lines of the instructions in docs/howto, as a person would paste them into bash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable

from lib.server import ROOT, Server, binary

HOWTO = ROOT / "docs" / "howto"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (HOWTO / page).read_text(), re.MULTILINE | re.DOTALL)


def bash(server: Server, folder: Path, script: str, **variables: str) -> str:
    """Runs lines in bash, each of which must succeed."""
    environment = {
        "HOME": str(server.data.parent), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "FERROHUB_DATA_DIR": str(server.data),
        "FERROHUB_CONFIG_DIR": str(server.data.parent / "howto"), **variables,
    }
    (folder / "bin").mkdir(exist_ok=True)
    link = folder / "bin" / "ferrohub"
    if not link.exists():
        link.symlink_to(binary())
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280,
    )
    assert done.returncode == 0, f"{script}\nexit {done.returncode}\n{done.stdout}"
    return done.stdout


def test_the_main_job_and_its_clients(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    page = blocks("main-job.md", "sh")
    assert len(page) == 10, "a block was added or taken away"
    # What the clients' page stands on is there until the last block takes it away again.
    whole = "\n".join(page[:-1])
    printed = bash(server, tmp_path, f"{whole}\nprintf 'SCOPE=%s GROUP_KEY=%s HUB_HOST=%s\\n' $SCOPE $GROUP_KEY plant-hub.azure-devices.localhost")
    assert "10 messages acknowledged" in printed and "1 message acknowledged" in printed, printed
    assert "certificateAuthority" in printed and "pump-1\tActive" in printed, printed
    found = re.search(r"SCOPE=(\S+) GROUP_KEY=(\S+) HUB_HOST=(\S+)", printed)
    assert found is not None
    variables = {
        "SCOPE": found[1], "GROUP_KEY": found[2], "HUB_HOST": found[3], "D": str(server.data), "PORT": str(server.https_port),
        "MQTT_PORT": str(server.mqtt_port),
    }
    tokens, curl, tls = blocks("mqtt-clients.md", "sh")
    shown = bash(server, tmp_path, f"{tokens}\n{curl}\n{tls}\ncat pump-2.pem", **variables)
    assert shown.count("BEGIN CERTIFICATE") == 3 and "Verification: OK" in shown, shown
    (paho,) = blocks("mqtt-clients.md", "python")
    arguments = [str(server.data), str(server.mqtt_port), found[3]]
    done = subprocess.run([sys.executable, "-c", paho, *arguments], cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    events = server.run("events", "plant-hub")
    assert events.stdout.count("  pump-2  ") == 1, events
    bash(server, tmp_path, f'az() {{ ferrohub az "$@"; }}\n{page[-1]}')
