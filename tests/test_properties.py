"""A property-based tester against our own OpenAPI document: whatever is sent to whatever is served, no answer is a fault and
none fails to come. schemathesis makes the requests, right ones and wrong ones, from `ferrohub openapi`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from lib.arm import token
from lib.keys import sas
from lib.plant import Plant, build
from lib.server import ROOT, Server, binary

# For each plane: requests to each operation at most, so that all of them take about a minute on an idle machine.
PLANES = {"arm": 6, "graph": 10, "login": 6, "hub": 10, "dps": 10}
# CPython 3.11 counts the depth of its own parser for all threads together, and the tester's threads parse: now and then that fails, which says
# nothing of the server. Such a run is begun again.
INTERPRETER_FAULT = "SystemError: AST constructor recursion depth mismatch"
TRIES = 3
# By then the tester has ended, on a busy machine too.
LONGEST_RUN_SECONDS = 400
# Characters of a text that is made.
LONGEST_TEXT = 1000
# What takes longer than this counts as hanging.
ANSWER_SECONDS = 20
# What a client may ask for and we do not have is 501, a queue that is full 503.
CONFIGURATION = f"""
suppress-health-check = ["all"]
request-timeout = {ANSWER_SECONDS}
[checks]
enabled = false
[checks.not_a_server_error]
enabled = true
expected-statuses = ["2xx", "3xx", "4xx", 501, 503]
"""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    done = subprocess.run([str(binary()), "openapi"], text=True, capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_the_document_is_one(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.0") and len(document["paths"]) > 100
    for path, item in document["paths"].items():
        for method, operation in item.items():
            named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert sorted(named) == sorted(set(named)), f"{method} {path} names a parameter twice"
            assert all(f"{{{name}}}" in path for name in named), f"{method} {path}"


@pytest.mark.timeout(LONGEST_RUN_SECONDS + 60)
@pytest.mark.parametrize("plane", PLANES)
def test_no_fault_and_no_hang(document: dict[str, Any], own_server: Callable[..., Server], tmp_path: Path, plane: str) -> None:
    server = own_server()
    plant = build(server, "props")
    (tmp_path / "openapi.json").write_text(json.dumps(narrowed(document, plant, plane)))
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    tester = Path(os.environ.get("FERROHUB_TEST_PROPERTIES", ROOT / "target" / "foreign" / "properties")) / "bin" / "schemathesis"
    command = [str(tester), "--config-file", str(tmp_path / "schemathesis.toml"), "run", str(tmp_path / "openapi.json")]
    command += ["--url", f"https://localhost:{server.https_port}", "--tls-verify", server.ca]
    command += ["--max-examples", str(PLANES[plane]), "--phases", "fuzzing", "--mode", "all", "--workers", "4"]
    command += ["--max-failures", "5", "--no-shrink", "--seed", "20261129"]
    for name, value in headers(server, plant, plane).items():
        command += ["--header", f"{name}:{value}"]
    for _ in range(TRIES):
        done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=LONGEST_RUN_SECONDS)
        if INTERPRETER_FAULT not in done.stdout:
            break
    told = f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, told
    print(told[-600:])
    assert server.alive, "the server ended"
    faults = [line for line in server.log if "panicked" in line or "internal fault" in line]
    assert not faults, "\n".join(faults[:5])
    # It still answers, and the log is intact.
    assert plant.arm.get(plant.arm.subscription, "2022-12-01")["state"] == "Enabled"


def narrowed(document: dict[str, Any], plant: Plant, plane: str) -> dict[str, Any]:
    """The operations of a plane; names in paths are often those of what is there."""
    there = {
        "subscription": [plant.arm.subscription.rsplit("/", 1)[1]], "resourceGroup": [plant.group_name],
        "location": ["swedencentral"], "tenant": [plant.server.owner["tenantId"]],
    }
    names = [one.rsplit("/", 1)[1] for one in (plant.namespace, plant.hub, plant.dps, plant.identity, plant.role)] + ["default", "made-1"]
    paths: dict[str, Any] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if plane not in operation["tags"]:
                continue
            for one in operation["parameters"]:
                if one["in"] == "path":
                    known = there.get(one["name"], names)
                    one["schema"] = {"anyOf": [{"type": "string", "enum": known}] * 3 + [one["schema"]]}
            paths.setdefault(path, {})[method] = short(operation)
    assert paths, f"the document has nothing of the plane {plane}"
    return {**document, "paths": paths}


def short(schema: Any) -> Any:
    """The same with texts that a tester can make: of a megabyte it makes none."""
    if isinstance(schema, list):
        return [short(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    cut = {name: short(value) for name, value in schema.items()}
    return {**cut, "maxLength": min(cut["maxLength"], LONGEST_TEXT)} if isinstance(cut.get("maxLength"), int) else cut


def headers(server: Server, plant: Plant, plane: str) -> dict[str, str]:
    owner, port = server.owner, server.https_port
    if plane in ("arm", "graph"):
        scope = f"{server.url}/.default" if plane == "arm" else "https://graph.microsoft.com/.default"
        answer = token(server, owner["clientId"], owner["clientSecret"], scope)
        assert answer.status_code == 200, answer.text
        host = {} if plane == "arm" else {"Host": f"graph.localhost:{port}"}
        return {"Authorization": f"Bearer {answer.json()['access_token']}", **host}
    if plane == "hub":
        return {"Host": f"{plant.hub_host}:{port}", "Authorization": sas(plant.hub_host, plant.hub_key, "iothubowner")}
    if plane == "dps":
        return {"Host": f"{plant.dps_host}:{port}", "Authorization": sas(plant.dps_host, plant.dps_key, "provisioningserviceowner")}
    return {"Host": f"login.localhost:{port}"}
