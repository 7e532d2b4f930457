"""`ferrohub setup`: what the published set-up script does, guided at a terminal or unattended from a file."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

from lib.server import PATIENCE_SECONDS, Output, Server, binary

# The script's own way of writing its variables.
VARIABLES = """
# Variables
$TenantId = ""            # your tenant
$SubscriptionId = ''
$ResourceGroup = "{name}-rg"
$Location = "westeurope"
$NamespaceName = "{name}-ns"
$HubName = "{name}-hub"
$DpsName = '{name}-dps'
$UserIdentity = {name}-id
$WorkingFolder = "{folder}"
"""
STEPS = 12


def variables(folder: Path, name: str, working: str = "") -> str:
    file = folder / f"{name}.txt"
    file.write_text(VARIABLES.format(name=name, folder=working))
    return str(file)


def environment(server: Server) -> dict[str, str]:
    return {
        "HOME": str(server.data.parent), "PATH": os.environ["PATH"], "FERROHUB_DATA_DIR": str(server.data),
        "FERROHUB_CONFIG_DIR": str(server.data.parent / "setup"), "TERM": "xterm",
    }


def unattended(server: Server, *arguments: str) -> Output:
    return server.run("setup", *arguments, profile="setup")


class Terminal:
    """A person at a terminal."""

    def __init__(self, server: Server, *arguments: str) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            # Whoever runs the tests behind a shell's back has SIGINT ignored; a person's terminal has not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(str(binary()), [str(binary()), "setup", *arguments], environment(server))
        self.text = ""

    def until(self, words: str) -> str:
        """Reads until the words come, and forgets what stands before their end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in self.text:
            assert time.monotonic() < deadline, f"waited in vain for {words!r}: {self.text}"
            if select.select([self.terminal], [], [], 1)[0]:
                try:
                    got = os.read(self.terminal, 65_536)
                except OSError:
                    got = b""
                assert got, f"ended before {words!r}: {self.text}"
                self.text += got.decode()
        seen, self.text = self.text.split(words, 1)
        return seen + words

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self, answer: str = "") -> tuple[int, str]:
        """Exit status as the shell has it, and what was still printed; each further step gets the answer."""
        answered = 0
        while True:
            asked = self.text.count("Ctrl-C to end: ")
            if answer and asked > answered:
                self.type(answer)
                answered += 1
            try:
                got = os.read(self.terminal, 65_536)
            except OSError:
                break
            if not got:
                break
            self.text += got.decode()
        _, status = os.waitpid(self.pid, 0)
        return (os.waitstatus_to_exitcode(status), self.text)


def test_unattended_twice(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    (tmp_path / "role.json").write_text(
        '{"Name": "from-template", "Description": "d", "Actions": ["Microsoft.DeviceRegistry/namespaces/*"], "AssignableScopes": ["<scope>"]}'
    )
    file = variables(tmp_path, "twice", str(tmp_path))
    first = unattended(server, "--file", file)
    assert first.code == 0, f"{first.stdout}\n{first.stderr}"
    assert "BAD" not in first.stdout and first.stdout.count("\nok ") >= 14, first.stdout
    assert "az iot hub create --name twice-hub --resource-group twice-rg" in first.stdout, "each line is shown"
    assert "\x1b[" not in first.stdout, "no colours where there is no terminal"
    before = counted(server)
    second = unattended(server, "--file", file)
    assert second.code == 0 and second.stdout.count("found: ") >= 6, second.stdout
    assert counted(server) == before, "made again"
    assert "from-template" in [one["roleName"] for one in server.az("role", "definition", "list", "--custom-role-only", profile="setup")]
    # What it made is a whole installation: an enrollment group takes the policy that it made.
    group = ["iot", "dps", "enrollment-group", "create", "--dps-name", "twice-dps", "--enrollment-id", "g", "--credential-policy-name", "default"]
    assert server.az(*group, profile="setup")["credentialPolicyName"] == "default"


def counted(server: Server) -> dict[str, int]:
    assignments: list[Any] = server.az("role", "assignment", "list", "--all", profile="setup")
    return {"assignments": len(assignments), "resources": len(server.az("resource", "list", profile="setup"))}


def test_guided(own_server: Callable[..., Server]) -> None:
    server = own_server()
    guided = Terminal(server)
    for name, typed in (("TenantId", ""), ("SubscriptionId", ""), ("ResourceGroup", "guided-rg"), ("Location", "westeurope"),
                        ("NamespaceName", "guided-ns"), ("HubName", "guided-hub"), ("DpsName", "guided-dps"), ("UserIdentity", ""),
                        ("WorkingFolder", ""), ("CustomRoleName", "")):
        guided.until(f"{name} (")
        guided.until("]: ")
        guided.type(f"{typed}\n")
    for number in range(STEPS):
        seen = guided.until("Ctrl-C to end: ")
        assert "az " in seen, seen
        if number == 0:
            guided.type("what\n")
            guided.until("Only Enter and s are understood.")
            guided.until("Ctrl-C to end: ")
        # The last but one links the hub.
        guided.type("S\n" if number == STEPS - 2 else "\n")
    code, rest = guided.end()
    assert code == 1 and "BAD" in rest and "Something is missing" in rest, rest
    assert [line for line in rest.splitlines() if "BAD" in line and "assigns devices" in line], rest
    again = Terminal(server, *sum((["--set", f"{name}={value}"] for name, value in (
        ("TenantId", server.owner["tenantId"]), ("SubscriptionId", server.owner["subscriptionId"]), ("ResourceGroup", "guided-rg"),
        ("Location", "westeurope"), ("NamespaceName", "guided-ns"), ("HubName", "guided-hub"), ("DpsName", "guided-dps"),
        ("UserIdentity", "cms-identity"), ("CustomRoleName", "cms-guided-ns"))), []))
    again.until("WorkingFolder (")
    again.type("\n")
    for _ in range(STEPS):
        again.until("Ctrl-C to end: ")
        again.type("\n")
    code, rest = again.end()
    assert code == 0 and "All is there" in rest, rest


def test_a_subscription_that_is_typed_is_that_of_the_steps(own_server: Callable[..., Server]) -> None:
    server = own_server()
    body = '{"properties": {"displayName": "Second plant", "workload": "Production"}}'
    url = "/providers/Microsoft.Subscription/aliases/second?api-version=2021-10-01"
    made = server.az("rest", "--method", "put", "--url", url, "--body", body, profile="setup")["properties"]["subscriptionId"]
    server.az("account", "list", "--refresh", profile="setup")
    names = ("TenantId", "SubscriptionId", "ResourceGroup", "Location", "NamespaceName", "HubName", "DpsName", "UserIdentity", "WorkingFolder")
    guided = Terminal(server)
    for name in (*names, "CustomRoleName"):
        guided.until(f"{name} (")
        guided.until("]: ")
        guided.type({"SubscriptionId": "Second plant\n", "ResourceGroup": "second-rg\n"}.get(name, "\n"))
    guided.until(f"in subscription {made}")
    guided.until("Ctrl-C to end: ")
    guided.type("\n")
    code, rest = guided.end("s\n")
    assert code == 1 and "Something is missing" in rest, rest
    shown = server.az("group", "show", "--name", "second-rg", "--subscription", made, profile="setup")
    assert shown["id"] == f"/subscriptions/{made}/resourceGroups/second-rg"


def test_an_error_is_red_and_ends_it(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    file = variables(tmp_path, "red")
    stopped = Terminal(server, "--file", file, "--set", "Location=atlantis")
    code, text = stopped.end()
    assert code == 1 and re.search(r"\x1b\[31mERROR: [^\x1b]*atlantis", text), text
    assert "The setup stopped at: Resource group" in text and "Validation" not in text, text
    for arguments, words in (
        (["--set", "HubNme=x"], "no variable 'HubNme'"),
        (["--set", "TenantId=00000000-0000-4000-8000-000000000000"], "TenantId is"),
        (["--set", "NamespaceName=Upper"], "NamespaceName is 'Upper'"),
        (["--set", "SubscriptionId=nowhere"], "doesn't exist"),
    ):
        refused = unattended(server, "--file", file, *arguments)
        assert refused.code == 1 and words in refused.stdout + refused.stderr, refused
    nobody = unattended(server)
    assert nobody.code == 1 and "--file" in nobody.stderr, nobody


def test_ended_and_killed(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    ended = Terminal(server)
    ended.until("TenantId (")
    ended.type("\x03")
    code, _ = ended.end()
    assert code == -signal.SIGINT, "Ctrl-C ends it"
    file = variables(tmp_path, "killed")
    for step in ("Custom role", "Namespace with credential", "Hub, linked", "Device Provisioning Service, linked"):
        running = subprocess.Popen(
            [str(binary()), "setup", "--file", file], env=environment(server), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert running.stdout is not None
        for line in running.stdout:
            if step in line:
                break
        running.kill()
        running.wait(PATIENCE_SECONDS)
    whole = unattended(server, "--file", file)
    assert whole.code == 0 and "All is there" in whole.stdout, f"{whole.stdout}\n{whole.stderr}"
