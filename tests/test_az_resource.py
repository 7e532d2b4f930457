"""The real azure-cli: locks, tags, resources, moves, accounts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable

import pytest

from lib.plant import LOCATION
from lib.server import Server
from test_az import Az

GROUP = "azrm-rg"


@pytest.fixture(scope="module")
def az(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("azrm")
    yield signed_in(server, folder)
    shutil.rmtree(folder, ignore_errors=True)


def signed_in(server: Server, folder: Path) -> Az:
    """As the owner, with a group."""
    az, owner = Az(server, folder), server.owner
    az("cloud", "register", "-n", "ferrohub", "--endpoint-resource-manager", server.url)
    az("cloud", "set", "-n", "ferrohub")
    az("login", "--service-principal", "-u", owner["clientId"], "-p", owner["clientSecret"], "--tenant", owner["tenantId"])
    az("group", "create", "--name", GROUP, "--location", LOCATION)
    return az


def test_locks(az: Az) -> None:
    made = az("identity", "create", "--name", "locked", "--resource-group", GROUP, "--location", LOCATION)
    lock = az("lock", "create", "--name", "keep", "--lock-type", "CanNotDelete", "--resource", made["id"], "--notes", "why")
    assert lock["level"] == "CanNotDelete" and lock["notes"] == "why"
    refused = az.run("identity", "delete", "--ids", made["id"])
    assert refused.code != 0 and "ScopeLocked" in refused.stderr and lock["id"] in refused.stderr, refused.stderr
    refused = az.run("group", "delete", "--name", GROUP, "--yes")
    assert refused.code != 0 and "ScopeLocked" in refused.stderr, refused.stderr
    az("lock", "create", "--name", "freeze", "--lock-type", "ReadOnly", "--resource-group", GROUP)
    refused = az.run("group", "update", "--name", GROUP, "--set", "tags.a=b")
    assert "ScopeLocked" in refused.stderr, refused.stderr
    assert sorted(one["name"] for one in az("lock", "list", "--resource-group", GROUP)) == ["freeze", "keep"]
    assert az("lock", "show", "--name", "freeze", "--resource-group", GROUP)["level"] == "ReadOnly"
    updated = az("lock", "update", "--name", "freeze", "--resource-group", GROUP, "--lock-type", "CanNotDelete", "--notes", "n")
    assert (updated["level"], updated["notes"]) == ("CanNotDelete", "n")
    az("lock", "delete", "--name", "freeze", "--resource-group", GROUP)
    # The line that a refusal prints.
    az("lock", "delete", "--ids", lock["id"])
    assert az("lock", "list", "--resource-group", GROUP) == []
    top = az("lock", "create", "--name", "top", "--lock-type", "CanNotDelete")
    assert az("lock", "show", "--name", "top")["id"] == top["id"]
    az("lock", "delete", "--name", "top")
    az("identity", "delete", "--ids", made["id"])


def test_tags(az: Az) -> None:
    made = az("identity", "create", "--name", "tagged", "--resource-group", GROUP, "--location", LOCATION)
    assert az("tag", "create", "--resource-id", made["id"], "--tags", "a=1", "b=2")["properties"]["tags"] == {"a": "1", "b": "2"}
    merged = az("tag", "update", "--resource-id", made["id"], "--operation", "Merge", "--tags", "b=3")
    assert merged["properties"]["tags"] == {"a": "1", "b": "3"}
    assert az("tag", "list", "--resource-id", made["id"])["properties"]["tags"] == {"a": "1", "b": "3"}
    less = az("tag", "update", "--resource-id", made["id"], "--operation", "Delete", "--tags", "a=1")
    assert less["properties"]["tags"] == {"b": "3"}
    az("tag", "create", "--name", "azrm-name")
    az("tag", "add-value", "--name", "azrm-name", "--value", "v")
    assert "azrm-name" in [one["tagName"] for one in az("tag", "list")]
    az("tag", "remove-value", "--name", "azrm-name", "--value", "v")
    az("tag", "delete", "--name", "azrm-name", "--yes")
    assert az("resource", "tag", "--ids", made["id"], "--tags", "c=4")["tags"] == {"c": "4"}
    az("tag", "delete", "--resource-id", made["id"], "--yes")
    az("identity", "delete", "--ids", made["id"])


def test_resources_and_moves(az: Az) -> None:
    az("group", "create", "--name", "azrm-other", "--location", LOCATION)
    properties = json.dumps({"location": LOCATION, "properties": {}})
    made = az(
        "resource", "create", "--resource-group", GROUP, "--name", "generic", "--resource-type",
        "Microsoft.ManagedIdentity/userAssignedIdentities", "--is-full-object", "--properties", properties,
    )
    az("resource", "move", "--destination-group", "azrm-other", "--ids", made["id"])
    here = made["id"].replace(GROUP, "azrm-other")
    assert az("resource", "show", "--ids", here)["name"] == "generic"
    assert "generic" not in [one["name"] for one in az("resource", "list", "--resource-group", GROUP)]
    az("resource", "wait", "--exists", "--ids", here)
    az("resource", "delete", "--ids", here)
    az("group", "delete", "--name", "azrm-other", "--yes", "--no-wait")
    az("group", "wait", "--name", "azrm-other", "--deleted", "--timeout", "60")
    assert az("group", "exists", "--name", "azrm-other") is False


def test_accounts(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    az = signed_in(server, tmp_path / "az")
    made = az.rest("put", "/providers/Microsoft.Subscription/aliases/azrm", "2021-10-01", {"properties": {"displayName": "Azrm"}})
    other = made["properties"]["subscriptionId"]
    assert [one["id"] for one in az("account", "list", "--refresh")] == [server.owner["subscriptionId"], other]
    az("account", "set", "--subscription", "Azrm")
    assert az("account", "show")["id"] == other
    assert az("group", "list") == []
    az("group", "create", "--name", GROUP, "--location", LOCATION)
    az("provider", "unregister", "--namespace", "Microsoft.Devices")
    assert az("provider", "show", "--namespace", "Microsoft.Devices")["registrationState"] == "NotRegistered"
    az("provider", "register", "--namespace", "Microsoft.Devices", "--wait")
    assert az("provider", "show", "--namespace", "Microsoft.Devices")["registrationState"] == "Registered"
    az("group", "delete", "--name", GROUP, "--yes")
    assert az("group", "exists", "--name", GROUP, "--subscription", server.owner["subscriptionId"]) is True
