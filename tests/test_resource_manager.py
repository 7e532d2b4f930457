"""Resource Manager by its SDKs, unpatched: locks, tags, lists, moves, subscriptions, providers, conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.locks import ManagementLockClient
from azure.mgmt.resource.locks.models import ManagementLockObject
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.resources.models import ResourcesMoveInfo
from azure.mgmt.resource.subscriptions import SubscriptionClient

from lib import arm as versions
from lib.arm import Arm
from lib.plant import LOCATION
from lib.server import Server

GROUP = "rm-rg"
IDENTITY = "2024-11-30"


@dataclass
class Clients:
    """One of each, with the arguments that clients.md section 6 names."""

    locks: Any
    resources: ResourceManagementClient
    subscriptions: SubscriptionClient
    group: str
    subscription: str
    credential: ClientSecretCredential
    arguments: dict[str, Any]


@pytest.fixture(scope="module")
def clients(server: Server) -> Iterator[Clients]:
    yield clients_of(server)


def clients_of(server: Server, subscription: str | None = None) -> Clients:
    owner, url, ca = server.owner, server.url, server.ca
    subscription = subscription or owner["subscriptionId"]
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=url, disable_instance_discovery=True, connection_verify=ca
    )
    more = {"base_url": url, "credential_scopes": [f"{url}/.default"], "connection_verify": ca}
    resources = ResourceManagementClient(credential, subscription, **more)
    group = resources.resource_groups.create_or_update(GROUP, {"location": LOCATION}).id
    locks = ManagementLockClient(credential, subscription, **more).management_locks
    return Clients(locks, resources, SubscriptionClient(credential, **more), group, subscription, credential, more)


def identity(clients: Clients, group: str, name: str, **more: Any) -> str:
    clients.resources.resource_groups.create_or_update(group, {"location": LOCATION})
    made = clients.resources.resources.begin_create_or_update(
        group, "Microsoft.ManagedIdentity", "", "userAssignedIdentities", name, {"location": LOCATION, **more}, api_version=IDENTITY
    ).result()
    return str(made.id)


def refused(code: str, call: Any, *arguments: Any, **named: Any) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as caught:
        answer = call(*arguments, **named)
        if hasattr(answer, "result"):
            answer.result()
    assert caught.value.error and caught.value.error.code == code, caught.value
    return caught.value


def test_locks_at_every_scope(clients: Clients) -> None:
    locks, group = clients.locks, "rm-locked"
    target = identity(clients, group, "kept")
    parts = (group, "Microsoft.ManagedIdentity", "", "userAssignedIdentities", "kept", "l1")
    keep, freeze = ManagementLockObject(level="CanNotDelete", notes="n"), ManagementLockObject(level="ReadOnly")
    made = locks.create_or_update_at_resource_level(*parts, keep)
    assert (made.level, made.notes, made.type) == ("CanNotDelete", "n", "Microsoft.Authorization/locks")
    assert locks.get_at_resource_level(*parts).id == made.id
    assert locks.get_by_scope(target, "l1").name == "l1"
    error = refused("ScopeLocked", clients.resources.resources.begin_delete_by_id, target, api_version=IDENTITY)
    assert error.status_code == 409 and target in error.message and "Please remove the lock" in error.message
    refused("ScopeLocked", clients.resources.resource_groups.begin_delete, group)
    assert locks.create_or_update_at_resource_group_level(group, "l2", freeze).level == "ReadOnly"
    refused("ScopeLocked", clients.resources.resources.begin_update_by_id, target, {"tags": {"a": "b"}}, api_version=IDENTITY)
    assert locks.create_or_update_by_scope(f"/subscriptions/{clients.subscription}", "l3", keep).id
    assert sorted(one.name for one in locks.list_at_resource_group_level(group)) == ["l1", "l2"]
    assert sorted(one.name for one in locks.list_at_resource_group_level(group, filter="atScope()")) == ["l2", "l3"]
    assert [one.name for one in locks.list_at_resource_level(*parts[:-1])] == ["l1"]
    assert {"l1", "l2", "l3"} <= {one.name for one in locks.list_at_subscription_level()}
    assert [one.name for one in locks.list_by_scope(target)] == ["l1"]
    assert locks.get_at_subscription_level("l3").level == "CanNotDelete"
    read = locks.get_at_resource_group_level(group, "l2")
    read.notes = "put back"
    assert locks.create_or_update_at_resource_group_level(group, "l2", read).notes == "put back"
    locks.delete_at_subscription_level("l3")
    locks.delete_at_resource_group_level(group, "l2")
    locks.delete_by_scope(target, "l1")
    with pytest.raises(ResourceNotFoundError):
        locks.get_by_scope(target, "l1")
    clients.resources.resource_groups.begin_delete(group).result()


def test_tags_at_every_scope(clients: Clients) -> None:
    tags = clients.resources.tags
    target = identity(clients, GROUP, "tagged")
    subscription = f"/subscriptions/{clients.subscription}"
    for scope in (target, clients.group, subscription):
        wanted = {"properties": {"tags": {"one": "1", "two": "2"}}}
        assert tags.begin_create_or_update_at_scope(scope, wanted).result().properties.tags == {"one": "1", "two": "2"}
        change = {"operation": "Merge", "properties": {"tags": {"one": "x", "three": "3"}}}
        assert tags.begin_update_at_scope(scope, change).result().properties.tags == {"two": "2", "one": "x", "three": "3"}
        change = {"operation": "Delete", "properties": {"tags": {"two": "2"}}}
        assert tags.begin_update_at_scope(scope, change).result().properties.tags == {"one": "x", "three": "3"}
        assert tags.get_at_scope(scope).properties.tags == {"one": "x", "three": "3"}
    tags.create_or_update("ahead")
    tags.create_or_update_value("ahead", "of use")
    seen = {one.tag_name: (one.count.value, [value.tag_value for value in one.values_property]) for one in tags.list()}
    assert seen["ahead"] == (0, ["of use"]) and seen["one"] == (3, ["x"])
    tags.delete_value("ahead", "of use")
    tags.delete("ahead")
    refused("TagInUse", tags.delete, "one")
    for scope in (target, clients.group, subscription):
        tags.begin_delete_at_scope(scope).result()
        assert tags.get_at_scope(scope).properties.tags in ({}, None)


def test_resources_are_listed_and_reached_by_their_ids(clients: Clients) -> None:
    resources, group = clients.resources.resources, "rm-listed"
    ids = [identity(clients, group, f"listed-{number}", tags={"n": str(number)}) for number in range(7)]
    names = lambda **query: [one.name for one in resources.list(**query)]  # noqa: E731
    assert len(names(filter=f"resourceGroup eq '{group}'", top=2)) == 7, "paged by nextLink"
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    assert names(filter=f"substringof('listed-3', name) and resourceType eq '{kind}'") == ["listed-3"]
    assert names(filter="tagName eq 'n' and tagValue eq '5'") == ["listed-5"]
    assert names(filter=f"resourceGroup eq '{group}' and name ne 'listed-0' and location eq '{LOCATION}'") == [
        f"listed-{number}" for number in range(1, 7)
    ]
    expanded = next(iter(resources.list_by_resource_group(group, expand="createdTime,changedTime,provisioningState")))
    assert expanded.created_time and expanded.changed_time and expanded.provisioning_state == "Succeeded"
    assert resources.check_existence_by_id(ids[0], api_version=IDENTITY)
    assert resources.get_by_id(ids[0], api_version=IDENTITY).tags == {"n": "0"}
    assert resources.begin_create_or_update_by_id(ids[0], {"location": LOCATION, "tags": {"n": "x"}}, api_version=IDENTITY).result().tags == {"n": "x"}
    assert resources.begin_update_by_id(ids[0], {"tags": {"n": "y"}}, api_version=IDENTITY).result().tags == {"n": "y"}
    resources.begin_delete_by_id(ids[0], api_version=IDENTITY).result()
    assert not resources.check_existence_by_id(ids[0], api_version=IDENTITY)
    assert resources.check_existence(group, "Microsoft.ManagedIdentity", "", "userAssignedIdentities", "listed-1", api_version=IDENTITY)
    refused("InvalidFilterInQueryString", lambda: list(resources.list(filter="name eq 'a' or 1=1; drop table resources")))
    clients.resources.resource_groups.begin_delete(group).result()


def test_resources_move(clients: Clients) -> None:
    source, target = "rm-source", "rm-target"
    moved, stays = identity(clients, source, "mover"), identity(clients, target, "stays")
    wanted = {"resources": [moved], "target_resource_group": clients.resources.resource_groups.get(target).id}
    info = ResourcesMoveInfo(**wanted)
    clients.resources.resources.begin_validate_move_resources(source, info).result()
    clients.resources.resources.begin_move_resources(source, info).result()
    assert not clients.resources.resources.check_existence_by_id(moved, api_version=IDENTITY)
    assert sorted(one.name for one in clients.resources.resources.list_by_resource_group(target)) == ["mover", "stays"]
    info.resources = [stays]
    refused("CannotMoveResource", clients.resources.resources.begin_move_resources, source, info)
    refused("CannotMoveResource", clients.resources.resources.begin_move_resources, target, info)
    for group in (source, target):
        clients.resources.resource_groups.begin_delete(group).result()


def second(arm: Arm, alias: str) -> str:
    body = {"properties": {"displayName": "Second"}}
    made = arm.call("PUT", f"/providers/Microsoft.Subscription/aliases/{alias}", "2021-10-01", body)
    return str(made["properties"]["subscriptionId"])


def test_subscriptions_tenants_and_locations(own_server: Callable[..., Server]) -> None:
    server = own_server()
    clients, other = clients_of(server), second(Arm(server), "second")
    client = clients.subscriptions
    assert [one.subscription_id for one in client.subscriptions.list()] == [clients.subscription, other]
    assert client.subscriptions.get(clients.subscription).state == "Enabled"
    assert client.subscriptions.get(other).display_name == "Second"
    assert LOCATION in [one.name for one in client.subscriptions.list_locations(other)]
    assert len(list(client.tenants.list())) == 1
    # What one has, the other has not.
    assert [one.name for one in clients.resources.resource_groups.list()] == [GROUP]
    assert [one.name for one in clients_of(server, other).resources.resource_groups.list()] == [GROUP]
    mover = identity(clients, GROUP, "mover")
    target = f"/subscriptions/{other}/resourceGroups/{GROUP}"
    wanted = ResourcesMoveInfo(resources=[mover], target_resource_group=target)
    clients.resources.resources.begin_move_resources(GROUP, wanted).result()
    moved = next(iter(clients_of(server, other).resources.resources.list()))
    assert moved.id == mover.replace(clients.subscription, other)


def test_providers_are_registered_by_hand_and_by_the_client_itself(own_server: Callable[..., Server]) -> None:
    server = own_server()
    clients = clients_of(server, second(Arm(server), "second"))
    providers = clients.resources.providers
    assert "Microsoft.Devices" in [one.namespace for one in providers.list()]
    assert providers.unregister("Microsoft.ManagedIdentity").registration_state == "NotRegistered"
    assert providers.get("Microsoft.ManagedIdentity").registration_state == "NotRegistered"
    # azure-mgmt-core reads 409 MissingSubscriptionRegistration, registers, waits, and asks once more (not where an operation is long:
    # azure-mgmt-resource streams the answer then, and its policy cannot read it).
    refused("MissingSubscriptionRegistration", identity, clients, GROUP, "long")
    msi = ManagedServiceIdentityClient(clients.credential, clients.subscription, **clients.arguments)
    assert msi.user_assigned_identities.create_or_update(GROUP, "auto", {"location": LOCATION}).client_id
    assert providers.get("Microsoft.ManagedIdentity").registration_state == "Registered"
    refused("CannotUnregisterResourceProvider", providers.unregister, "Microsoft.ManagedIdentity")


def test_conditions_codings_sizes_and_headers(clients: Clients, arm: Arm, server: Server) -> None:
    path = f"{clients.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/conditional"
    body = {"location": LOCATION}
    made = arm.send("PUT", path, IDENTITY, body, If_None_Match="*")
    assert made.status_code == 201
    assert arm.send("PUT", path, IDENTITY, body, If_None_Match="*").json()["error"]["code"] == "PreconditionFailed"
    etag = arm.send("GET", path, IDENTITY).headers["ETag"]
    assert arm.send("PATCH", path, IDENTITY, {"tags": {"a": "b"}}, If_Match=etag).status_code == 200
    for method in ("PUT", "PATCH", "DELETE"):
        assert arm.send(method, path, IDENTITY, None if method == "DELETE" else body, If_Match=etag).status_code == 412
    assert arm.send("DELETE", path, IDENTITY, None, If_Match="*").status_code in (200, 204)
    coded = arm.send("PUT", path, IDENTITY, body, Content_Encoding="gzip")
    assert coded.status_code == 415 and coded.json()["error"]["code"] == "UnsupportedMediaType"
    large = arm.send("PUT", path, IDENTITY, {**body, "tags": {"a": "x" * 5_000_000}})
    assert large.status_code == 413 and large.json()["error"]["code"] == "RequestContentTooLarge"
    headers = arm.send("GET", clients.group, versions.GROUP).headers
    assert headers["x-ms-ratelimit-remaining-subscription-reads"] == "250"
    assert headers["x-ms-request-id"] and headers["x-ms-correlation-request-id"] and headers["x-ms-routing-request-id"]
    assert arm.send("GET", "/tenants", versions.GROUP).headers["x-ms-ratelimit-remaining-tenant-reads"] == "250"
    for host in ("rm-none.azure-devices.localhost", "rm-none.azure-devices-provisioning.localhost"):
        answer = requests.post(
            f"{server.url}/devices/query", data=b"x", verify=server.ca, timeout=30, headers={"Host": host, "Content-Encoding": "br"}
        )
        assert answer.status_code in (401, 404, 415), answer.text
