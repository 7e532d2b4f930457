"""`ferrohub az`: the rest of the control plane, each group against a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Iterator

import pytest

from lib.server import Server

GROUP = "breadth-rg"


@pytest.fixture(scope="module")
def own(server: Server) -> Iterator[Server]:
    server.az("group", "create", "--name", GROUP, "--location", "westeurope", "--tags", "team=a", profile="breadth")
    yield server
    server.az("group", "delete", "--name", GROUP, "--yes", profile="breadth")


@pytest.fixture
def az(own: Server) -> Callable[..., object]:
    return lambda *words: own.az(*words, profile="breadth")


def refused(own: Server, *words: str) -> str:
    done = own.run("az", *words, profile="breadth")
    assert done.code not in (0, 2), f"{words}: {done}"
    return done.stderr


def test_locks(own: Server, az: Callable[..., object]) -> None:
    made = az("lock", "create", "--name", "keep", "--lock-type", "CanNotDelete", "--resource-group", GROUP, "--notes", "why")
    assert made["level"] == "CanNotDelete" and made["notes"] == "why"
    assert [one["name"] for one in az("group", "lock", "list", "--resource-group", GROUP)] == ["keep"]
    assert "keep" in refused(own, "group", "delete", "--name", GROUP, "--yes")
    changed = az("lock", "update", "--name", "keep", "--resource-group", GROUP, "--notes", "because")
    assert (changed["level"], changed["notes"]) == ("CanNotDelete", "because")
    az("lock", "delete", "--ids", made["id"])
    assert az("lock", "list", "--resource-group", GROUP) == []
    identity = az("identity", "create", "--name", "locked", "--resource-group", GROUP)
    of = ["--resource", "locked", "--resource-type", "Microsoft.ManagedIdentity/userAssignedIdentities", "--resource-group", GROUP]
    az("resource", "lock", "create", "--name", "still", "--lock-type", "ReadOnly", *of)
    assert "still" in refused(own, "identity", "create", "--name", "locked", "--resource-group", GROUP, "--tags", "a=b")
    az("resource", "lock", "delete", "--name", "still", *of)
    az("identity", "delete", "--ids", identity["id"])
    az("account", "lock", "create", "--name", "all", "--lock-type", "CanNotDelete")
    assert az("account", "lock", "show", "--name", "all")["level"] == "CanNotDelete"
    az("account", "lock", "delete", "--name", "all")


def test_tags_and_any_resource(own: Server, az: Callable[..., object]) -> None:
    group = az("group", "show", "--name", GROUP)["id"]
    assert az("tag", "list", "--resource-id", group)["properties"]["tags"] == {"team": "a"}
    merged = az("tag", "update", "--resource-id", group, "--operation", "Merge", "--tags", "line=b")
    assert merged["properties"]["tags"] == {"team": "a", "line": "b"}
    az("tag", "create", "--resource-id", group, "--tags", "team=c")
    assert az("group", "show", "--name", GROUP)["tags"] == {"team": "c"}
    az("tag", "delete", "--resource-id", group, "--yes")
    assert not az("group", "show", "--name", GROUP)["tags"]
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    by_name = ["--resource-group", GROUP, "--name", "any", "--resource-type", kind]
    made = az("resource", "create", *by_name, "--location", "westeurope", "--properties", "{}")
    assert made["properties"]["principalId"]
    assert az("resource", "tag", *by_name, "--tags", "a=b")["tags"] == {"a": "b"}
    assert az("resource", "tag", *by_name, "--tags", "c=d", "--is-incremental")["tags"] == {"a": "b", "c": "d"}
    assert az("resource", "update", *by_name, "--set", "tags.a=e")["tags"]["a"] == "e"
    az("resource", "wait", *by_name, "--exists")
    az("group", "create", "--name", "breadth-other", "--location", "westeurope")
    az("resource", "move", "--ids", made["id"], "--destination-group", "breadth-other")
    assert [one["name"] for one in az("resource", "list", "--resource-group", "breadth-other")] == ["any"]
    az("group", "delete", "--name", "breadth-other", "--yes")


def test_what_happened_and_what_there_is(own: Server, az: Callable[..., object]) -> None:
    az("identity", "create", "--name", "seen", "--resource-group", GROUP)
    events = az("monitor", "activity-log", "list", "--resource-group", GROUP, "--offset", "1h", "--max-events", "200")
    names = {one["operationName"]["value"] for one in events}
    assert "Microsoft.ManagedIdentity/userAssignedIdentities/write" in names, names
    assert az("monitor", "activity-log", "list", "--caller", "nobody@nowhere.example") == []
    query = "resources | where resourceGroup =~ 'breadth-rg' | summarize n = count() by type"
    answer = az("graph", "query", "-q", query)
    assert {"type": "microsoft.managedidentity/userassignedidentities", "n": 1} in answer["data"], answer
    assert "nonsense" in refused(own, "graph", "query", "-q", "resources | nonsense x")
    az("identity", "delete", "--name", "seen", "--resource-group", GROUP)


def test_the_directory(own: Server, az: Callable[..., object]) -> None:
    app = az("ad", "app", "create", "--display-name", "breadth-app")
    assert az("ad", "app", "show", "--id", app["appId"])["displayName"] == "breadth-app"
    az("ad", "app", "update", "--id", app["appId"], "--display-name", "breadth-new")
    assert [one["appId"] for one in az("ad", "app", "list", "--display-name", "breadth-n")] == [app["appId"]]
    principal = az("ad", "sp", "create", "--id", app["appId"])
    az("ad", "app", "credential", "reset", "--id", app["appId"])
    (secret,) = az("ad", "app", "credential", "list", "--id", app["appId"])
    az("ad", "app", "credential", "delete", "--id", app["appId"], "--key-id", secret["keyId"])
    assert az("ad", "app", "credential", "list", "--id", app["appId"]) == []
    assert az("ad", "sp", "show", "--id", app["appId"])["id"] == principal["id"]
    az("ad", "sp", "delete", "--id", app["appId"])
    az("ad", "app", "delete", "--id", app["appId"])
    name = "ann@breadth.example"
    user = az("ad", "user", "create", "--display-name", "Ann", "--password", "Corr3ct-horse-battery", "--user-principal-name", name)
    assert az("ad", "user", "show", "--id", name)["id"] == user["id"]
    az("ad", "user", "update", "--id", name, "--display-name", "Ann B")
    assert [one["displayName"] for one in az("ad", "user", "list", "--upn", name)] == ["Ann B"]
    az("role", "assignment", "create", "--assignee", name, "--role", "Reader", "--scope", az("group", "show", "--name", GROUP)["id"])
    az("role", "assignment", "delete", "--assignee", name, "--resource-group", GROUP)
    az("ad", "user", "delete", "--id", name)


def test_a_hub(own: Server, az: Callable[..., object]) -> None:
    az("iot", "hub", "create", "--name", "breadth-hub", "--resource-group", GROUP, "--sku", "S1")
    hub = ["--hub-name", "breadth-hub"]
    az("iot", "hub", "consumer-group", "create", *hub, "--name", "stream")
    assert {one["name"] for one in az("iot", "hub", "consumer-group", "list", *hub)} == {"$Default", "stream"}
    az("iot", "hub", "consumer-group", "delete", *hub, "--name", "stream")
    assert az("iot", "hub", "list-skus", "--name", "breadth-hub") and az("iot", "hub", "show-quota-metrics", "--name", "breadth-hub")
    for number in range(3):
        az("iot", "hub", "device-identity", "create", *hub, "--device-id", f"d{number}")
    az("iot", "hub", "device-twin", "update", *hub, "--device-id", "d1", "--tags", json.dumps({"line": "b"}))
    assert [one["deviceId"] for one in az("iot", "hub", "query", *hub, "-q", "select deviceId from devices where tags.line = 'b'")] == ["d1"]
    assert len(az("iot", "hub", "device-identity", "list", *hub)) == 3 and len(az("iot", "hub", "device-twin", "list", *hub, "--top", "2")) == 2
    before = az("iot", "hub", "device-identity", "show", *hub, "--device-id", "d0")["authentication"]["symmetricKey"]
    after = az("iot", "hub", "device-identity", "renew-key", *hub, "--device-id", "d0", "--key-type", "swap")["authentication"]["symmetricKey"]
    assert (after["primaryKey"], after["secondaryKey"]) == (before["secondaryKey"], before["primaryKey"])
    module = ["--device-id", "d0", "--module-id", "m1"]
    az("iot", "hub", "module-identity", "create", *hub, *module)
    assert "ModuleId=m1" in az("iot", "hub", "module-identity", "connection-string", "show", *hub, *module)["connectionString"]
    az("iot", "hub", "module-twin", "update", *hub, *module, "--desired", json.dumps({"a": 1}))
    assert az("iot", "hub", "module-twin", "show", *hub, *module)["properties"]["desired"]["a"] == 1
    assert [one["moduleId"] for one in az("iot", "hub", "module-identity", "list", *hub, "--device-id", "d0")] == ["m1"]
    az("iot", "hub", "module-identity", "delete", *hub, *module)
    az("iot", "hub", "delete", "--name", "breadth-hub", "--resource-group", GROUP)


def test_the_newest_generation_of_a_namespace(own: Server, az: Callable[..., object]) -> None:
    az("iot", "adr", "ns", "create", "--name", "breadth-ns", "--resource-group", GROUP)
    of = ["--namespace", "breadth-ns", "--resource-group", GROUP]
    az("iot", "adr", "ns", "wait", "--name", "breadth-ns", "--resource-group", GROUP, "--created")
    made = az("iot", "adr", "ns", "device", "create", *of, "--name", "pump", "--external-device-id", "Pump-1", "--model", "m1")
    assert made["properties"]["externalDeviceId"] == "Pump-1" and made["properties"]["enablementState"] == "Enabled"
    assert az("iot", "adr", "ns", "device", "update", *of, "--name", "pump", "--model", "m2")["properties"]["model"] == "m2"
    shown = az("iot", "adr", "ns", "device", "show", *of, "--external-device-id", "Pump-1")
    assert shown["name"] == "pump" and shown["properties"]["enablementState"] == "Enabled"
    az("iot", "adr", "ns", "device", "wait", *of, "--ext-id", "Pump-1", "--created")
    az("iot", "adr", "ns", "device", "wait", *of, "--ext-id", "pump-1", "--deleted")
    assert az("iot", "adr", "ns", "device", "show", *of, "--name", "pump")["properties"]["enabled"] is True
    assert "'pump-1'" in refused(own, "iot", "adr", "ns", "device", "show", *of, "--ext-id", "pump-1")
    az("iot", "adr", "ns", "device", "attribute", "create", *of, "--device-name", "pump", "--name", "place", "--properties", '{"floor": 2}')
    assert [one["name"] for one in az("iot", "adr", "ns", "device", "attribute", "list", *of, "--device-name", "pump")] == ["place"]
    assert az("iot", "adr", "ns", "device", "auth", "list", *of, "--device-name", "pump") == []
    assert az("iot", "adr", "ns", "device", "capability", "list", *of, "--device-name", "pump") == []
    group = az("iot", "adr", "ns", "group", "create", *of, "--name", "everything", "--query-string", "*")
    assert group["properties"]["queryFilter"] == "*"
    assert az("iot", "adr", "ns", "group", "refresh", *of, "--name", "everything")["name"] == "everything"
    assert az("iot", "adr", "ns", "group", "count", *of, "--name", "everything")["count"] == 1
    members = az("iot", "adr", "ns", "group", "list-members", *of, "--name", "everything")
    assert members["members"][0]["id"].lower().endswith("/pump"), members
    az("iot", "adr", "ns", "group", "delete", *of, "--name", "everything", "--yes")
    hub = az("iot", "hub", "create", "--name", "breadth-linked", "--resource-group", GROUP, "--sku", "S1", "--mi-system-assigned")
    dps = az("iot", "dps", "create", "--name", "breadth-dps", "--resource-group", GROUP, "--mi-system-assigned")
    namespace = az("iot", "adr", "ns", "show", "--name", "breadth-ns", "--resource-group", GROUP)
    for who, role, scope in (
        (hub, "Azure Device Registry Contributor", namespace), (dps, "Azure Device Registry Contributor", namespace), (namespace, "Contributor", hub)
    ):
        of_principal = ["--assignee-object-id", who["identity"]["principalId"], "--assignee-principal-type", "ServicePrincipal"]
        az("role", "assignment", "create", *of_principal, "--role", role, "--scope", scope["id"])
    both = ["--hub-endpoint-name", "hub", "--hub-resource-id", hub["id"], "--dps-endpoint-name", "dps", "--dps-resource-id", dps["id"]]
    az("iot", "adr", "ns", "link", "add", *of, *both, "--hub-system-assigned-mi", "--dps-system-assigned-mi", "--interval", "1")
    assert [one["linkingState"] for one in az("iot", "adr", "ns", "link", "hub", "list", *of)] == ["Succeeded"]
    assert az("iot", "adr", "ns", "link", "dps", "show", *of, "--name", "dps")["resourceId"].lower() == dps["id"].lower()
    caller = az("identity", "create", "--name", "breadth-caller", "--resource-group", GROUP)
    az("iot", "hub", "identity", "assign", "--name", "breadth-linked", "--user-assigned", caller["id"])
    of_caller = ["--assignee-object-id", caller["principalId"], "--assignee-principal-type", "ServicePrincipal"]
    az("role", "assignment", "create", *of_caller, "--role", "Azure Device Registry Contributor", "--scope", namespace["id"])
    for who in (["--mi-ua", caller["id"]], ["--mi-sa"]):
        changed = az("iot", "adr", "ns", "link", "hub", "update", *of, "--name", "hub", *who, "--interval", "1")
        assert changed["inboundCallerIdentity"]["type"] == ("UserAssigned" if who[0] == "--mi-ua" else "SystemAssigned")
    az("iot", "adr", "ns", "link", "hub", "remove", *of, "--name", "hub", "--yes")
    assert az("iot", "adr", "ns", "link", "hub", "list", *of) == []
    az("iot", "adr", "ns", "link", "dps", "remove", *of, "--name", "dps", "--yes")
    az("iot", "adr", "ns", "device", "delete", *of, "--name", "pump", "--yes")
    az("iot", "hub", "delete", "--name", "breadth-linked", "--resource-group", GROUP)
    az("iot", "dps", "delete", "--name", "breadth-dps", "--resource-group", GROUP)
    az("iot", "adr", "ns", "delete", "--name", "breadth-ns", "--resource-group", GROUP, "--yes")


def test_schemas(own: Server, az: Callable[..., object], tmp_path: Path) -> None:
    of = ["--resource-group", GROUP]
    store = ["--registry-namespace", "breadth", "--storage-account-container-url", "https://breadth.blob.core.windows.net/schemas"]
    made = az("iot", "adr", "schema", "registry", "create", "--name", "breadth-schemas", *of, *store, "--mi-sa", "--display-name", "D")
    assert made["location"] == "westeurope" and made["identity"]["principalId"] and made["properties"]["namespace"] == "breadth"
    name = ["--name", "breadth-schemas", *of]
    az("iot", "adr", "schema", "registry", "wait", *name, "--created")
    changed = az("iot", "adr", "schema", "registry", "update", *name, "--description", "of pumps", "--tags", "line=b", "--omi-sa", "false")
    assert (changed["properties"]["description"], changed["properties"]["displayName"]) == ("of pumps", "D")
    assert changed["tags"] == {"line": "b"} and changed["identity"]["principalId"] == made["identity"]["principalId"]
    assert "needs no identity" in refused(own, "iot", "adr", "schema", "registry", "update", *name, "--omi-sa")
    assert [one["name"] for one in az("iot", "adr", "schema", "registry", "list", *of)] == ["breadth-schemas"]
    assert "breadth-schemas" in [one["name"] for one in az("iot", "adr", "schema", "registry", "list")]
    below = ["--registry", "breadth-schemas", *of]
    for schema, form in (("pump", "JsonSchema/draft-07"), ("thing", "JsonLD/1.1")):
        kind = "MessageSchema" if schema == "pump" else "ThingModel"
        az("iot", "adr", "schema", "create", "--name", schema, *below, "--schema-type", kind, "--format", form, "--tags", "a=b")
    assert az("iot", "adr", "schema", "show", "--name", "thing", *below)["properties"]["tags"] == {"a": "b"}
    assert {one["name"] for one in az("iot", "adr", "schema", "list", *below)} == {"pump", "thing"}
    content = tmp_path / "pump.json"
    content.write_text('{"type": "object", "properties": {"t": {"type": "number"}}}\n', encoding="utf-8")
    version = ["--schema", "pump", *below, "--version"]
    first = az("iot", "adr", "schema", "version", "create", *version, "1", "--schema-content", f"@{content}", "--description", "first")
    assert first["properties"]["schemaContent"] == content.read_text(encoding="utf-8").rstrip("\n") and first["properties"]["hash"]
    assert "draft-07" in refused(own, "iot", "adr", "schema", "version", "create", *version, "2", "--schema-content", '{"type": "text"}')
    assert "10 digits" in refused(own, "iot", "adr", "schema", "version", "create", *version, "v2", "--schema-content", "{}")
    assert [one["name"] for one in az("iot", "adr", "schema", "version", "list", "--schema", "pump", *below)] == ["1"]
    az("iot", "adr", "schema", "version", "delete", *version, "1", "--yes")
    az("iot", "adr", "schema", "version", "wait", *version, "1", "--deleted")
    az("iot", "adr", "schema", "delete", "--name", "thing", *below, "--yes")
    az("iot", "adr", "schema", "registry", "delete", *name, "--yes")
    refused(own, "iot", "adr", "schema", "registry", "show", *name)


def test_identities_of_a_namespace(own: Server, az: Callable[..., object]) -> None:
    one, two = (az("identity", "create", "--name", name, "--resource-group", GROUP)["id"] for name in ("ns-one", "ns-two"))
    name = ["--name", "breadth-ids", "--resource-group", GROUP]
    made = az("iot", "adr", "ns", "create", *name, "--omi-ua", one)
    assert made["properties"]["outboundIdentity"]["userAssignedIdentity"].lower() == one.lower()
    assert made["identity"]["principalId"] and len(made["identity"]["userAssignedIdentities"]) == 1
    of = ["--namespace", "breadth-ids", "--resource-group", GROUP]
    assert az("iot", "adr", "ns", "ca", "list", *of) == []
    assert len(az("iot", "adr", "ns", "identity", "assign", *name, "--user", two)["userAssignedIdentities"]) == 2
    refused(own, "iot", "adr", "ns", "identity", "remove", *name, "--user", one)
    az("iot", "adr", "ns", "update", *name, "--omi-sa")
    left = az("iot", "adr", "ns", "identity", "remove", *name, "--user", one)
    assert [held.lower() for held in left["userAssignedIdentities"]] == [two.lower()] and left["principalId"]
    assert az("iot", "adr", "ns", "identity", "remove", *name, "--user")["type"] == "SystemAssigned"
    az("iot", "adr", "ns", "update", *name, "--omi-sa", "false", "--no-wait")
    az("iot", "adr", "ns", "delete", *name, "--yes")
    az("identity", "delete", "--ids", one, two)
