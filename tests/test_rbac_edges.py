"""The rights by which services act on each other, and those of a person: without one, a refusal that names principal,
action and scope and the command that grants it; after that command the next try works, without a restart."""

from __future__ import annotations

import re
from typing import Any, Callable

import pytest

from lib import arm as versions
from lib.arm import Arm, ArmError
from lib.keys import b64, csr, new_key
from lib.plant import LOCATION, Plant, add_hub, build
from lib.server import Server
from test_wrong_input_dps import refusal

COMMAND = re.compile(r"az role assignment create [^\n]*?--scope \"?[^\s\"']+\"?")


def assert_named(message: str, principal: str, action: str, scope: str) -> None:
    """The refusal says who may not do what, and where."""
    for part in (principal, action, scope):
        assert part.lower() in message.lower(), f"no '{part}' in: {message}"


def grant(server: Server, message: str) -> None:
    """Runs the command that a refusal prints, as the owner."""
    # A hub's message is JSON in JSON.
    found = COMMAND.search(message.replace('\\"', '"'))
    assert found, f"no command in: {message}"
    server.paste(found[0])


def revoke(plant: Plant, *names: str) -> None:
    for name in names:
        plant.arm.delete(plant.assignments[name], versions.ROLE)


def register(plant: Plant, device: str) -> Any:
    return plant.register(device, b64(csr(new_key(), device)))


def test_dps_to_namespace(server: Server) -> None:
    """DPS writes devices into the namespace and uses the policy, as its identity."""
    plant = build(server, "edge1")
    assert register(plant, "before").body["status"] == "assigned"
    revoke(plant, "identity on namespace")
    code, message = refusal(register(plant, "after"))
    assert code // 1000 == 403, (code, message)
    assert_named(message, plant.identity_principal, "Microsoft.DeviceRegistry/namespaces/", plant.namespace)
    assert plant.hub_rest("GET", "/devices/after").status_code == 404
    # One command at the namespace is enough for all that a registration needs.
    assert message.count("az role assignment create") == 1 and f'--scope "{plant.namespace}"'.lower() in message.lower(), message
    grant(server, message)
    answer = register(plant, "after")
    assert answer.body["status"] == "assigned", answer.body


@pytest.mark.parametrize("action", ["devices/write", "credentials/policies/read"])
def test_each_right_of_dps(server: Server, action: str) -> None:
    """The custom role without one of its actions."""
    plant = build(server, f"edge-{action.split('/')[0]}")
    role = plant.arm.get(plant.role, versions.ROLE)
    full = f"Microsoft.DeviceRegistry/namespaces/{action}"
    permissions = role["properties"]["permissions"]
    permissions[0]["actions"].remove(full)
    plant.arm.put(plant.role, versions.ROLE, {"properties": {**role["properties"], "permissions": permissions}})
    code, message = refusal(register(plant, "device"))
    assert code // 1000 == 403, (code, message)
    assert_named(message, plant.identity_principal, full, plant.namespace)
    grant(server, message)
    assert register(plant, "device").body["status"] == "assigned"


def test_hub_to_namespace(server: Server) -> None:
    """A hub mirrors its device identities into the namespace, as its identity."""
    plant = build(server, "edge2")
    device = {"deviceId": "mirrored", "authentication": {"type": "sas"}}
    revoke(plant, "identity on namespace")
    refused = plant.hub_rest("PUT", "/devices/mirrored", device)
    assert refused.status_code == 403, refused.text
    assert_named(refused.text, plant.identity_principal, "Microsoft.DeviceRegistry/namespaces/devices/write", plant.namespace)
    assert plant.hub_rest("GET", "/devices/mirrored").status_code == 404
    grant(server, refused.json().get("Message", refused.text))
    made = plant.hub_rest("PUT", "/devices/mirrored", device)
    assert made.status_code == 200, made.text
    devices = plant.arm.get(f"{plant.namespace}/devices", versions.REGISTRY)["value"]
    assert "mirrored" in [one["name"] for one in devices]


def test_namespace_to_hub(server: Server) -> None:
    """Synchronizing writes certificates to each linked hub, as the namespace's identity."""
    plant = build(server, "edge3", synchronize=False)
    revoke(plant, "namespace contributor", "namespace registry")
    with pytest.raises(ArmError) as caught:
        plant.synchronize()
    message = caught.value.message
    assert_named(message, plant.namespace_principal, "Microsoft.Devices/IotHubs/certificates/write", plant.hub)
    assert plant.hub_certificates() == []
    grant(server, message)
    plant.synchronize()
    assert len(plant.hub_certificates()) == 1


def test_namespace_to_a_device_of_its_hub(server: Server) -> None:
    """Disabling a device in the registry reaches the hub as the namespace's own identity."""
    plant = build(server, "edge7")
    assert register(plant, "device").body["status"] == "assigned"
    device = f"{plant.namespace}/devices/device"
    body = {"properties": {"enabled": False}}
    revoke(plant, "namespace contributor", "namespace registry")
    refused = plant.arm.refused("PATCH", device, versions.REGISTRY, body)
    assert_named(refused.message, plant.namespace_principal, "Microsoft.Devices/IotHubs/devices/write", plant.hub)
    assert plant.hub_rest("GET", "/devices/device").json()["status"] == "enabled"
    grant(server, refused.message)
    plant.arm.call("PATCH", device, versions.REGISTRY, body)
    assert plant.hub_rest("GET", "/devices/device").json()["status"] == "disabled"


def service_principal(server: Server, name: str) -> tuple[Arm, str]:
    """A caller without any right, and its object id."""
    made = server.az("ad", "sp", "create-for-rbac", "--name", name)
    shown = server.az("ad", "sp", "show", "--id", made["appId"])
    return Arm(server, made["appId"], made["password"]), shown["id"]


def test_a_person_without_the_right(server: Server, plant: Plant) -> None:
    caller, principal = service_principal(server, "edge-person")
    body = {"location": LOCATION, "identity": {"type": "SystemAssigned"}}
    tries: list[tuple[str, str, Callable[[], ArmError]]] = [
        ("resourceGroups/read", plant.group, lambda: caller.refused("GET", plant.group, versions.GROUP)),
        ("namespaces/write", plant.group, lambda: caller.refused("PUT", f"{plant.group}/providers/Microsoft.DeviceRegistry/namespaces/person", versions.REGISTRY, body)),
        ("IotHubs/delete", plant.hub, lambda: caller.refused("DELETE", plant.hub, versions.HUB)),
        ("IotHubs/listkeys/action", plant.hub, lambda: caller.refused("POST", f"{plant.hub}/listkeys", versions.HUB)),
        ("synchronize/action", plant.namespace, lambda: caller.refused("POST", f"{plant.namespace}/credentials/default/synchronize", versions.REGISTRY)),
        ("roleAssignments/write", plant.group, lambda: _assign(caller, plant)),
    ]
    for action, scope, attempt in tries:
        refused = attempt()
        assert (refused.status, refused.code) == (403, "AuthorizationFailed"), refused
        assert_named(refused.message, principal, action, scope)
    assert plant.arm.get(plant.hub, versions.HUB)["id"]
    grant(server, tries[0][2]().message)
    assert caller.get(plant.group, versions.GROUP)["name"] == plant.group_name
    listed = caller.get(f"{caller.subscription}/resourcegroups", versions.GROUP)["value"]
    assert [group["name"] for group in listed] == [plant.group_name]


def _assign(caller: Arm, plant: Plant) -> ArmError:
    with pytest.raises(ArmError) as caught:
        caller.assign(plant.group, plant.identity_principal, versions.CONTRIBUTOR)
    return caught.value


def test_linking_an_identity_needs_a_right_on_it(server: Server, plant: Plant) -> None:
    """Contributor on a group of one's own is not enough to act as somebody else's identity."""
    caller, principal = service_principal(server, "edge-linker")
    group = f"{plant.arm.subscription}/resourceGroups/edge-linker-rg"
    plant.arm.put(group, versions.GROUP, {"location": LOCATION})
    plant.arm.assign(group, principal, versions.CONTRIBUTOR)
    body = {
        "location": LOCATION, "sku": {"name": "GEN2", "capacity": 1},
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {plant.identity: {}}},
        "properties": {"deviceRegistry": {"namespaceResourceId": plant.namespace, "identityResourceId": plant.identity}},
    }
    hub = f"{group}/providers/Microsoft.Devices/IotHubs/edge-linker-hub"
    for action, scope in (
        ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", plant.identity),
        ("Microsoft.DeviceRegistry/namespaces/read", plant.namespace),
    ):
        refused = caller.refused("PUT", hub, versions.HUB, body)
        assert (refused.status, refused.code) == (403, "LinkedAuthorizationFailed"), refused
        assert_named(refused.message, principal, action, scope)
        assert caller.refused("GET", hub, versions.HUB).status == 404
        grant(server, refused.message)
    linked = caller.put(hub, versions.HUB, body)
    assert linked["properties"]["deviceRegistry"]["namespaceResourceId"].lower() == plant.namespace.lower()
    caller.delete(hub, versions.HUB)


def test_dps_to_its_linked_hub(server: Server) -> None:
    """DPS writes identities into a hub by the key that it was linked with. Where that key is no longer the hub's, the
    refusal prints the command that links it again."""
    plant = build(server, "edge5")
    assert register(plant, "before").body["status"] == "assigned"
    plant.renew_hub_keys()
    for _ in range(2):
        code, message = refusal(register(plant, "after"))
        assert (code, plant.hub_host in message) == (400209, True), (code, message)
        assert plant.hub_rest("GET", "/devices/after").status_code == 404
    server.paste(linking(message))
    assert register(plant, "after").body["status"] == "assigned"
    assert plant.hub_rest("GET", "/devices/after").status_code == 200
    linked = plant.arm.get(plant.dps, versions.DPS)["properties"]["iotHubs"]
    assert [one["name"] for one in linked] == [plant.hub_host]


def test_a_linked_hub_that_is_gone(server: Server) -> None:
    """The refusal prints the command that takes the link away; another hub can take its place."""
    plant = build(server, "edge6")
    plant.arm.delete(plant.hub, versions.HUB)
    code, message = refusal(register(plant, "device"))
    assert (code, plant.hub_host in message) == (400209, True), (code, message)
    assert "linked-hub create" not in message, message
    server.paste(linking(message))
    assert plant.arm.get(plant.dps, versions.DPS)["properties"]["iotHubs"] == []
    other = add_hub(plant.arm, plant.group, "edge6-other", plant.namespace, plant.identity)
    service = ["--dps-name", "edge6-dps", "--resource-group", plant.group_name]
    server.az("iot", "dps", "linked-hub", "create", *service, "--hub-name", "edge6-other")
    answer = register(plant, "device")
    assert answer.body["status"] == "assigned" and answer.state["assignedHub"] == other["properties"]["hostName"], answer.body


def linking(message: str) -> str:
    """The line that a refusal prints for a hub that a provisioning service cannot use."""
    found = re.search(r"az iot dps linked-hub delete [^\n]*", message)
    assert found, f"no command in: {message}"
    return found[0].rstrip(". ")


def test_a_bearer_at_a_hub(server: Server, plant: Plant) -> None:
    """A person at a hub's service API: refused without a data role, served with one, refused again when it is gone."""
    caller, principal = service_principal(server, "edge-data")
    bearer = caller.data_bearer()
    device = {"deviceId": "by-bearer", "authentication": {"type": "sas"}}
    calls: list[tuple[str, str, Any, str, int]] = [
        ("PUT", "/devices/by-bearer", device, "devices/write", 200),
        ("GET", "/devices/by-bearer", None, "devices/read", 200),
        ("PATCH", "/twins/by-bearer", {"properties": {"desired": {"a": 1}}}, "twins/write", 200),
        ("DELETE", "/devices/by-bearer", None, "devices/delete", 204),
    ]

    def all_refused() -> None:
        for method, path, body, action, _ in calls:
            refused = plant.hub_rest(method, path, body, authorization=bearer)
            assert refused.status_code == 403, f"{method} {path}: {refused.status_code} {refused.text}"
            assert_named(refused.text, principal, f"Microsoft.Devices/IotHubs/{action}", plant.hub)

    all_refused()
    role = plant.arm.assign(plant.hub, principal, versions.HUB_DATA_CONTRIBUTOR)
    for method, path, body, _, status in calls:
        answer = plant.hub_rest(method, path, body, authorization=bearer)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
    plant.arm.delete(role, versions.ROLE)
    all_refused()
    # The printed command gives what the one call needs.
    method, path, body, _, status = calls[0]
    grant(server, plant.hub_rest(method, path, body, authorization=bearer).json()["Message"])
    assert plant.hub_rest(method, path, body, authorization=bearer).status_code == status
    method, path, body, action, _ = calls[2]
    assert action in plant.hub_rest(method, path, body, authorization=bearer).text
    assert plant.hub_rest("DELETE", calls[3][1]).status_code == 204
