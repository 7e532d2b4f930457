"""The activity log through `az monitor activity-log` and azure-mgmt-monitor; the audit log through Graph, the program's export and its follow."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.monitor import MonitorManagementClient

from lib import arm as versions
from lib.arm import Arm, token
from lib.plant import LOCATION, Plant, build
from lib.server import Server, binary, until
from test_az import Az, az  # noqa: F401  (the fixture)

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


@pytest.fixture
def monitor(server: Server) -> MonitorManagementClient:
    owner, url, ca = server.owner, server.url, server.ca
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=url, disable_instance_discovery=True, connection_verify=ca
    )
    return MonitorManagementClient(
        credential, owner["subscriptionId"], base_url=url, credential_scopes=[f"{url}/.default"], connection_verify=ca
    )


def since() -> str:
    """A filter from now on."""
    return f"eventTimestamp ge '{datetime.datetime.now(datetime.UTC).isoformat()}'"


def test_what_was_done_is_read_with_the_sdk(arm: Arm, monitor: MonitorManagementClient) -> None:
    begin, correlation = since(), str(uuid.uuid4())
    group = f"{arm.subscription}/resourceGroups/logged-rg"
    for method, body in (("PUT", {"location": LOCATION}), ("DELETE", None)):
        answer = arm.send(method, group, versions.GROUP, body, x_ms_correlation_request_id=correlation, x_ms_client_request_id="mine")
        assert answer.ok, answer.text
        arm.finish(answer)
    events = list(monitor.activity_logs.list(filter=f"{begin} and correlationId eq '{correlation}'"))
    told = [(event.operation_name.value.rsplit("/", 1)[1], event.event_name.value, event.status.value) for event in events]
    assert sorted(told) == [
        ("delete", "BeginRequest", "Started"), ("delete", "EndRequest", "Succeeded"), ("write", "EndRequest", "Succeeded"),
    ]
    assert events == sorted(events, key=lambda event: event.event_timestamp, reverse=True), "newest first"
    one = events[0]
    assert one.resource_id == group and one.resource_group_name == "logged-rg" and one.caller == arm.client_id
    assert one.claims["appid"] == arm.client_id and one.http_request.client_ip_address in ("127.0.0.1", "::1")
    assert one.http_request.client_request_id == "mine" and one.http_request.uri.startswith(f"{arm.server.url}{group}")
    only = next(iter(monitor.activity_logs.list(filter=f"{begin} and resourceUri eq '{group}'", select="status,caller")))
    assert only.status.value and only.caller and only.resource_id is None
    assert [one.value for one in monitor.event_categories.list()][0] == "Administrative"
    assert list(monitor.tenant_activity_logs.list(filter=f"{begin} and resourceUri eq '{group}'")) == []
    for wrong in ("caller eq 'me'", f"{begin} or caller eq 'me'"):
        with pytest.raises(HttpResponseError) as refused:
            list(monitor.activity_logs.list(filter=wrong))
        assert refused.value.status_code == 400


def test_every_filter_of_the_cli(az: Az, plant: Plant) -> None:  # noqa: F811
    command = ("monitor", "activity-log", "list", "--offset", "1h", "--max-events", "500")
    hub = plant.hub
    az("iot", "hub", "policy", "list", "--hub-name", plant.hub_name, "--resource-group", plant.group_name)
    every = az(*command)
    assert every and all(row["eventTimestamp"] and row["resourceId"] for row in every)
    of_group = az(*command, "--resource-group", plant.group_name)
    assert of_group and all(row["resourceGroupName"] == plant.group_name for row in of_group)
    of_hub = az(*command, "--resource-id", hub)
    actions = {row["operationName"]["value"] for row in of_hub}
    assert {"Microsoft.Devices/IotHubs/write", "Microsoft.Devices/IotHubs/listkeys/action"} <= actions, actions
    registry = az(*command, "--namespace", "Microsoft.DeviceRegistry")
    assert registry and all(row["resourceProviderName"]["value"] == "Microsoft.DeviceRegistry" for row in registry)
    correlation = of_hub[0]["correlationId"]
    assert of_hub[0]["eventDataId"] in [row["eventDataId"] for row in az(*command, "--correlation-id", correlation)]
    mine = az(*command, "--caller", plant.arm.client_id, "--status", "Succeeded")
    assert mine and all(row["status"]["value"] == "Succeeded" for row in mine)
    assert az(*command, "--caller", "nobody") == []
    picked = az(*command, "--resource-id", hub, "--select", "status", "caller")
    assert picked[0]["status"] and picked[0]["caller"]
    assert len(az("monitor", "activity-log", "list", "--offset", "1h", "--max-events", "2")) == 2
    past = az("monitor", "activity-log", "list", "--start-time", "2020-01-01", "--end-time", "2020-02-01")
    assert past == []
    assert "Administrative" in [row["value"] for row in az("monitor", "activity-log", "list-categories")]


def test_a_reader_of_one_group_sees_that_group(server: Server, arm: Arm, plant: Plant) -> None:
    made = server.az("ad", "sp", "create-for-rbac", "--name", "log-reader")
    principal = server.az("ad", "sp", "show", "--id", made["appId"])["id"]
    reader = Arm(server, made["appId"], made["password"])
    path = f"{arm.subscription}/providers/Microsoft.Insights/eventtypes/management/values"

    def read() -> Any:
        return reader.session.get(
            f"{server.url}{path}", params={"api-version": "2015-04-01", "$filter": "eventTimestamp ge '2020-01-01'"},
            headers={"Authorization": f"Bearer {reader.bearer}"}, timeout=60,
        )

    assert (read().status_code, read().json()["error"]["code"]) == (403, "AuthorizationFailed")
    arm.assign(plant.group, principal, READER)
    rows = read().json()["value"]
    assert rows and all(row["resourceId"].startswith(plant.group) for row in rows)


def exported(server: Server, *arguments: str) -> list[dict[str, Any]]:
    done = server.run(*arguments)
    assert done.code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A server of its own: of what fails often at an address, an hour's log tells a bounded number."""
    running = Server(tmp_path_factory.mktemp("audited") / "data").start()
    yield build(running, "audit")
    assert running.alive, "\n".join(running.log[-20:])
    running.stop()
    assert not [line for line in running.log if "panicked" in line]


def test_the_audit_log_tells_of_sign_ins_keys_certificates_and_refusals(audited: Plant) -> None:
    plant, server = audited, audited.server
    owner, device = server.owner, "audited-1"
    agent, wrong = "audit-test", "no-secret-of-anybody"
    assert token(server, owner["clientId"], wrong).status_code == 401
    assert token(server, owner["clientId"], owner["clientSecret"]).status_code == 200
    versions_of_keys = plant.arm.post(f"{plant.hub}/listkeys", versions.HUB)
    assert versions_of_keys["value"]
    assert plant.register(device).body["status"] == "assigned"
    with pytest.raises(Exception):
        plant.connect(device, password="SharedAccessSignature sr=x&sig=eA%3D%3D&se=9999999999")

    def events(kind: str, more: str = "") -> list[dict[str, Any]]:
        return exported(server, "audit", "export", "--days", "1", "--filter", f"kind eq '{kind}'{more}")

    # Other tests sign in at this server too, rightly and wrongly.
    def own(status: str) -> list[dict[str, Any]]:
        return [event for event in events("signIn", f" and status eq '{status}'") if event["who"] == owner["clientId"]]

    failed = until("the wrong secret is audited", lambda: [event for event in own("Failed") if event["code"] == "7000215"])
    assert failed[-1]["address"] in ("127.0.0.1", "::1")
    good = until("the sign-in is audited", lambda: own("Succeeded"))
    assert good[-1]["resource"].endswith("/.default")
    keys = until("the keys are audited", lambda: events("keysRead", f" and resource eq '{plant.hub}'"))
    assert keys[-1]["what"] == "Microsoft.Devices/IotHubs/listkeys/action" and keys[-1]["who"] == owner["clientId"]
    refused = until("the refusal is audited", lambda: [row for row in events("connectionRefused") if row["who"] == device])
    assert refused[-1]["resource"] == plant.hub_host and refused[-1]["code"].startswith("401")
    secrets = [owner["clientSecret"], plant.hub_key, plant.dps_key, plant.key(device), plant.group_key, wrong]
    text = "\n".join(json.dumps(row) for row in exported(server, "audit", "export", "--days", "1"))
    text += "\n".join(json.dumps(row) for row in exported(server, "activity", "export", "--days", "1"))
    assert not [secret for secret in secrets if secret in text], "a secret is in a log"
    answer = token(server, owner["clientId"], owner["clientSecret"], f"{server.url}/graph/.default")
    graph = plant.session.get(
        f"{server.url}/graph/v1.0/auditLogs/signIns?$top=5&$filter=appId eq '{owner['clientId']}'", verify=server.ca,
        headers={"Authorization": f"Bearer {answer.json()['access_token']}", "User-Agent": agent}, timeout=60,
    )
    assert graph.status_code == 200, graph.text
    assert graph.json()["value"][0]["appId"] == owner["clientId"] and len(graph.json()["value"]) <= 5


def test_certificates_are_audited(server: Server, plant: Plant) -> None:
    from lib.keys import b64, csr, new_key

    device = "audited-2"
    assert plant.register(device, b64(csr(new_key("P-256"), device))).body["status"] == "assigned"
    issued = exported(server, "audit", "export", "--days", "1", "--filter", "kind eq 'certificateIssued'")
    assert [row for row in issued if row["who"] == device and row["what"].startswith("serial ")]
    plant.arm.post(f"{plant.namespace}/devices/{device}/revoke", versions.REGISTRY, {"disable": False})
    revoked = exported(server, "audit", "export", "--days", "1", "--filter", f"kind eq 'certificateRevoked' and caller eq '{device}'")
    assert revoked and revoked[0]["what"] in [row["what"] for row in issued]


def test_an_export_is_in_the_order_of_time_and_can_follow(server: Server, arm: Arm, tmp_path: Path) -> None:
    rows = exported(server, "activity", "export", "--days", "1")
    times = [row["eventTimestamp"] for row in rows]
    assert len(rows) > 10 and times == sorted(times) and len({row["eventDataId"] for row in rows}) == len(rows)
    assert exported(server, "activity", "export", "--since", "2020-01-01", "--until", "2020-01-02") == []
    wrong = server.run("activity", "export", "--since", "yesterday")
    assert wrong.code == 1 and "--since is 'yesterday'" in wrong.stderr
    out = tmp_path / "followed.jsonl"
    environment = {"HOME": str(server.data.parent), "PATH": os.environ["PATH"], "FERROHUB_DATA_DIR": str(server.data)}
    command = [str(binary()), "activity", "export", "--days", "0", "--follow", "--out", str(out), "--rotate-mb", "1"]
    following = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until("the export has begun", out.exists)
        arm.put(f"{arm.subscription}/resourceGroups/followed-rg", versions.GROUP, {"location": LOCATION})
        until("the write is in the file", lambda: "followed-rg" in out.read_text())
        assert out.stat().st_mode & 0o077 == 0
    finally:
        following.terminate()
        following.wait(30)
