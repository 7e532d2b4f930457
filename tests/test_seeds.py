"""The published set-up instructions in bash, with `az() { ferrohub az "$@"; }`: see tests/seeds/run.sh."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from lib.server import Server, binary

SEEDS = Path(__file__).parent / "seeds"
REPORT = re.compile(r"^== exit (\d+) line (\d+) (command|repair): (.*)$", re.MULTILINE)
PUBLISHED_COMMANDS = 40


@dataclass(frozen=True)
class Step:
    """One command of the script and what it wrote to stderr."""

    code: int
    line: int
    kind: str
    text: str
    errors: str


def run(server: Server, mode: str, prefix: str) -> tuple[int, list[Step]]:
    """Runs the script; stderr goes where stdout goes, so that what a command wrote stands before its report."""
    names = {name: f"{prefix}-{name.lower()}" for name in ("GROUP", "NAMESPACE", "HUB", "DPS", "IDENTITY", "ROLE", "ENROLLMENT")}
    environment = {
        "HOME": str(server.data.parent), "PATH": os.environ["PATH"], "FERROHUB_DATA_DIR": str(server.data),
        "FERROHUB_CONFIG_DIR": str(server.data.parent / prefix), **{f"SEED_{name}": value for name, value in names.items()},
    }
    done = subprocess.run(
        ["bash", str(SEEDS / "run.sh"), str(binary()), mode], env=environment, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200,
    )
    steps, start = [], 0
    for found in REPORT.finditer(done.stdout):
        steps.append(Step(int(found[1]), int(found[2]), found[3], found[4], done.stdout[start : found.start()]))
        start = found.end()
    return done.returncode, steps


def test_patched(own_server: Callable[..., Server]) -> None:
    code, steps = run(own_server(), "--patched", "patched")
    wrong = [step for step in steps if step.code != 0]
    assert code == 0 and not wrong, "\n".join(f"{step.line}: {step.text}\n{step.errors}" for step in wrong)
    assert len([step for step in steps if step.text.startswith("az ") or "$(az " in step.text]) >= PUBLISHED_COMMANDS


# The command as published, and the words in which its correction must be named.
CORRECTIONS = {
    "az role definition create": ("SUBSCRIPTION_ID", "'"),
    "az iot hub create": ("IOT_HUB_NAME",),
    'az iot adr ns policy show --name "policy-name"': ("default",),
    "az iot adr ns delete": ("--yes",),
}


def test_unpatched(own_server: Callable[..., Server]) -> None:
    server = own_server()
    code, steps = run(server, "--unpatched", "unpatched")
    assert code == 1
    wrong = [step for step in steps if step.code != 0 and step.kind == "command"]
    for step in wrong:
        expected = [words for start, words in CORRECTIONS.items() if step.text.startswith(start)]
        assert len(expected) == 1, f"line {step.line} fails: {step.text}\n{step.errors}"
        for word in expected[0]:
            assert word in step.errors, f"line {step.line} does not name '{word}': {step.errors}"
    assert len(wrong) == len(CORRECTIONS), [step.text for step in wrong]
    repairs = [step for step in steps if step.kind == "repair"]
    assert len(repairs) == 3 and all(step.code == 0 for step in repairs), repairs
    # The fifth correction: hub and DPS go before the namespace. With --yes alone the order is still wrong.
    server.az("iot", "adr", "ns", "delete", "--name", "unpatched-namespace", "--resource-group", "unpatched-group", "--yes", profile="unpatched")


def test_the_namespace_cannot_go_before_what_is_linked(own_server: Callable[..., Server]) -> None:
    server = own_server()
    az = server.az
    az("group", "create", "--name", "order-rg", "--location", "westus2")
    az("iot", "adr", "ns", "create", "--name", "order-ns", "--resource-group", "order-rg")
    identity = az("identity", "create", "--name", "order-id", "--resource-group", "order-rg")
    namespace = az("iot", "adr", "ns", "show", "--name", "order-ns", "--resource-group", "order-rg")
    az("role", "assignment", "create", "--assignee", identity["principalId"], "--role", "Contributor", "--scope", namespace["id"])
    link = ["--mi-user-assigned", identity["id"], "--ns-resource-id", namespace["id"], "--ns-identity-id", identity["id"]]
    az("iot", "dps", "create", "--name", "order-dps", "--resource-group", "order-rg", "--location", "westus2", *link)
    refused = server.run("az", "iot", "adr", "ns", "delete", "--name", "order-ns", "--resource-group", "order-rg", "--yes")
    assert refused.code != 0 and "order-dps" in refused.stderr, refused.stderr
    az("iot", "dps", "delete", "--name", "order-dps", "--resource-group", "order-rg")
    az("iot", "adr", "ns", "delete", "--name", "order-ns", "--resource-group", "order-rg", "--yes")
