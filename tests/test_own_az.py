"""`ferrohub az` on a server: what it makes, what it infers, and the commands that it prints."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lib import arm as versions
from lib.arm import Arm
from lib.plant import LOCATION
from lib.server import Output, Server

NAMESPACE_ROLES = ["Contributor", "IoT Hub Registry Contributor"]


@pytest.fixture(scope="module")
def group(server: Server) -> str:
    return str(server.az("group", "create", "--name", "own-rg", "--location", LOCATION)["id"])


@pytest.mark.parametrize(
    ("options", "credential", "policies"),
    [
        ([], True, ["default"]),
        (["--no-policy"], True, []),
        (["--no-credential"], False, []),
        (["--ecm", "false"], False, []),
        (["--enable-certificate-management", "true", "--policy-name", "other"], True, ["other"]),
    ],
    ids=["bare", "no-policy", "no-credential", "ecm-false", "ecm-true"],
)
def test_what_a_namespace_create_makes(
    server: Server, arm: Arm, group: str, request: pytest.FixtureRequest, options: list[str], credential: bool, policies: list[str],
) -> None:
    name = f"own-{request.node.callspec.id}"
    made = server.az("iot", "adr", "ns", "create", "--name", name, "--resource-group", "own-rg", *options)
    assert made["identity"]["type"] == "SystemAssigned"
    path = f"{made['id']}/credentials/default"
    assert arm.send("GET", path, versions.REGISTRY).status_code == (200 if credential else 404)
    listed = arm.send("GET", f"{path}/policies", versions.REGISTRY)
    assert [one["name"] for one in listed.json().get("value", [])] == policies, listed.text


@pytest.mark.parametrize("options", [["--no-credential"], ["--no-policy"], ["--ecm", "false"]])
def test_options_of_a_policy_that_is_not_made(server: Server, group: str, options: list[str]) -> None:
    refused = server.run("az", "iot", "adr", "ns", "create", "--name", "own-refused", "--resource-group", "own-rg", "--policy-name", "p", *options)
    assert refused.code != 0 and "--policy-name" in refused.stderr, refused
    assert "own-refused" not in [one["name"] for one in server.az("iot", "adr", "ns", "list", "--resource-group", "own-rg")]


class Place:
    """A group with namespaces and an identity that may use some of them."""

    def __init__(self, server: Server, name: str, namespaces: int, usable: int) -> None:
        self.server, self.name = server, name
        self.group = server.az("group", "create", "--name", name, "--location", LOCATION)["id"]
        self.identity: dict[str, Any] = server.az("identity", "create", "--name", f"{name}-id", "--resource-group", name)
        self.namespaces: list[dict[str, Any]] = []
        for number in range(namespaces):
            made = server.az("iot", "adr", "ns", "create", "--name", f"{name}-ns{number}", "--resource-group", name)
            self.namespaces.append(made)
            if number < usable:
                role = ["--role", "Contributor", "--scope", made["id"]]
                server.az("role", "assignment", "create", "--assignee", self.identity["principalId"], *role)

    def create_hub(self, profile: str = "az") -> Output:
        hub = ["--name", f"{self.name}-hub", "--resource-group", self.name, "--mi-user-assigned", self.identity["id"]]
        return self.server.run("az", "iot", "hub", "create", *hub, profile=profile)

    def hub(self, arm: Arm) -> Any:
        return arm.get(f"{self.group}/providers/Microsoft.Devices/IotHubs/{self.name}-hub", versions.HUB)

    def roles_on_hub(self, arm: Arm) -> list[str]:
        """Names of the roles that the first namespace's identity has on the hub itself."""
        scope = self.hub(arm)["id"]
        principal = self.namespaces[0]["identity"]["principalId"]
        listed = self.server.az("role", "assignment", "list", "--scope", scope, "--assignee", principal)
        return sorted(one["roleDefinitionName"] for one in listed if one["scope"].lower() == scope.lower())


def test_a_hub_finds_the_one_namespace_of_its_identity(server: Server, arm: Arm) -> None:
    place = Place(server, "own-one", namespaces=2, usable=1)
    made = place.create_hub()
    assert made.code == 0 and place.namespaces[0]["id"] in made.stderr, made
    link = place.hub(arm)["properties"]["deviceRegistry"]
    assert link["namespaceResourceId"].lower() == place.namespaces[0]["id"].lower()
    assert link["identityResourceId"].lower() == place.identity["id"].lower()
    assert place.roles_on_hub(arm) == NAMESPACE_ROLES


def test_a_hub_without_a_usable_namespace_is_not_linked(server: Server, arm: Arm) -> None:
    place = Place(server, "own-none", namespaces=1, usable=0)
    made = place.create_hub()
    assert made.code == 0 and "not linked" in made.stderr and "--ns-resource-id" in made.stderr, made
    assert not place.hub(arm)["properties"].get("deviceRegistry")
    assert place.roles_on_hub(arm) == []


def test_a_hub_with_a_choice_of_namespaces_is_not_created(server: Server, arm: Arm) -> None:
    place = Place(server, "own-several", namespaces=2, usable=2)
    refused = place.create_hub()
    assert refused.code != 0 and "Nothing was created" in refused.stderr, refused
    for namespace in place.namespaces:
        assert namespace["id"] in refused.stderr, refused
    path = f"{place.group}/providers/Microsoft.Devices/IotHubs/own-several-hub"
    assert arm.refused("GET", path, versions.HUB).status == 404


def test_a_caller_who_may_not_assign_roles_gets_the_commands(server: Server, arm: Arm) -> None:
    """The hub is made and linked; an owner who runs the two printed lines completes it."""
    place = Place(server, "own-caller", namespaces=1, usable=1)
    person = server.az("ad", "sp", "create-for-rbac", "--name", "own-person", "--role", "Contributor", "--scopes", place.group)
    login = ["--service-principal", "-u", person["appId"], "-p", person["password"], "--tenant", person["tenant"]]
    assert server.run("az", "login", *login, profile="own-person").code == 0
    made = place.create_hub(profile="own-person")
    assert made.code == 0 and "could not be given its roles" in made.stderr, made
    assert place.hub(arm)["properties"]["deviceRegistry"]["namespaceResourceId"].lower() == place.namespaces[0]["id"].lower()
    assert place.roles_on_hub(arm) == []
    with_credential = arm.refused("POST", f"{place.namespaces[0]['id']}/credentials/default/synchronize", versions.REGISTRY)
    assert with_credential.status == 403, with_credential
    lines = re.findall(r"^ *(az role assignment create .*)$", made.stderr, re.MULTILINE)
    assert len(lines) == len(NAMESPACE_ROLES), made.stderr
    for line in lines:
        server.paste(line)
    assert place.roles_on_hub(arm) == NAMESPACE_ROLES
    arm.post(f"{place.namespaces[0]['id']}/credentials/default/synchronize", versions.REGISTRY)
    assert len(arm.get(f"{place.hub(arm)['id']}/certificates", versions.HUB)["value"]) == 1
