"""People, groups and applications by the real azure-cli, and what azure-identity and azure-mgmt-authorization make of them."""

from __future__ import annotations

import base64
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import CertificateCredential, ClientSecretCredential, UsernamePasswordCredential
from azure.mgmt.authorization import AuthorizationManagementClient

from lib.plant import LOCATION
from lib.server import Server
from test_az import Az

PASSWORD = "Correct-Horse-1"
DOMAIN = "plant.example"
CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


@pytest.fixture(scope="module")
def az(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Signed in as the owner."""
    folder = tmp_path_factory.mktemp("people")
    az = fresh(server, folder)
    owner = server.owner
    az("login", "--service-principal", "-u", owner["clientId"], "-p", owner["clientSecret"], "--tenant", owner["tenantId"])
    yield az
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def group(az: Az) -> str:
    return str(az("group", "create", "--name", "people-rg", "--location", LOCATION)["id"])


def fresh(server: Server, folder: Path, *options: str) -> Az:
    az = Az(server, folder)
    az("cloud", "register", "-n", "ferrohub", "--endpoint-resource-manager", server.url, *options)
    az("cloud", "set", "-n", "ferrohub")
    return az


def token(server: Server, **form: str) -> requests.Response:
    """The answer of the token endpoint."""
    url = f"{server.url}/{server.owner['tenantId']}/oauth2/v2.0/token"
    return requests.post(url, data=form, verify=server.ca, timeout=60)


def signed_in(server: Server, name: str, password: str) -> requests.Response:
    scope = f"{server.url}/.default openid offline_access profile"
    return token(server, grant_type="password", client_id=CLI, username=name, password=password, scope=scope)


def test_people(az: Az, server: Server, group: str, tmp_path: Path) -> None:
    name = f"ann@{DOMAIN}"
    made = az("ad", "user", "create", "--display-name", "Ann", "--user-principal-name", name, "--password", PASSWORD)
    assert made["userPrincipalName"] == name and made["displayName"] == "Ann"
    assert az("ad", "user", "show", "--id", name)["id"] == made["id"]
    assert [one["id"] for one in az("ad", "user", "list", "--upn", name)] == [made["id"]]
    assert [one["id"] for one in az("ad", "user", "list", "--display-name", "An")] == [made["id"]]
    twice = az.run("ad", "user", "create", "--display-name", "Ann", "--user-principal-name", name, "--password", PASSWORD)
    assert twice.code == 1 and "already exists" in twice.stderr, twice.stderr
    weak = az.run("ad", "user", "create", "--display-name", "B", "--user-principal-name", f"b@{DOMAIN}", "--password", "short")
    assert weak.code == 1 and "complexity" in weak.stderr, weak.stderr

    # She signs in with her password, sees nothing, is given a role, and sees that much.
    # MSAL asks port 443 about a person's realm, whatever the port of the authority; of an authority '/adfs' it does not ask.
    ann = fresh(server, tmp_path, "--endpoint-active-directory", f"{server.url}/adfs")
    nothing = ann.run("login", "-u", name, "-p", PASSWORD, "--tenant", server.owner["tenantId"])
    assert nothing.code == 1 and "No subscriptions found" in nothing.stderr, nothing.stderr
    role = az("role", "assignment", "create", "--assignee", name, "--role", "Reader", "--scope", group)
    assert role["principalType"] == "User" and role["principalId"] == made["id"]
    listed = ann("login", "-u", name, "-p", PASSWORD, "--tenant", server.owner["tenantId"])
    assert [one["user"] for one in listed] == [{"name": name, "type": "user"}]
    assert ann("group", "show", "--name", "people-rg")["id"] == group
    refused = ann.run("group", "create", "--name", "anns", "--location", LOCATION)
    assert "AuthorizationFailed" in refused.stderr and name in refused.stderr, refused.stderr
    # A token of another service comes by the refresh token.
    assert ann("ad", "signed-in-user", "show")["id"] == made["id"]
    mine = az("role", "assignment", "list", "--assignee", name, "--scope", group)
    assert [(one["id"], one["principalName"]) for one in mine] == [(role["id"], name)]

    az("ad", "user", "update", "--id", name, "--account-enabled", "false")
    assert ann.run("group", "show", "--name", "people-rg").code != 0, "her token is refused at once"
    answer = signed_in(server, name, PASSWORD).json()
    assert answer["error"] == "invalid_grant" and answer["error_codes"] == [50057], answer
    az("ad", "user", "update", "--id", name, "--account-enabled", "true", "--password", "Another-Horse-1", "--force-change-password-next-sign-in", "false")
    assert signed_in(server, name, "Another-Horse-1").status_code == 200
    az("ad", "user", "delete", "--id", made["id"])
    assert az.run("ad", "user", "show", "--id", name).code == 3
    assert az("role", "assignment", "list", "--scope", group) == []


def test_groups_lend_their_roles(az: Az, server: Server, group: str) -> None:
    name = f"gus@{DOMAIN}"
    gus = az("ad", "user", "create", "--display-name", "Gus", "--user-principal-name", name, "--password", PASSWORD)
    crew = az("ad", "group", "create", "--display-name", "Crew", "--mail-nickname", "crew", "--description", "night shift")
    assert az("ad", "group", "create", "--display-name", "Crew", "--mail-nickname", "crew")["id"] == crew["id"]
    az("ad", "group", "member", "add", "--group", crew["id"], "--member-id", gus["id"])
    assert az("ad", "group", "member", "check", "--group", crew["id"], "--member-id", gus["id"]) == {"value": True}
    assert [one["id"] for one in az("ad", "group", "member", "list", "--group", crew["id"])] == [gus["id"]]
    assert az("ad", "user", "get-member-groups", "--id", name) == [{"displayName": "Crew", "id": crew["id"]}]
    az("ad", "group", "owner", "add", "--group", crew["id"], "--owner-object-id", gus["id"])
    assert [one["id"] for one in az("ad", "group", "owner", "list", "--group", crew["id"])] == [gus["id"]]
    assert [one["id"] for one in az("ad", "group", "list", "--display-name", "Cre")] == [crew["id"]]
    role = az("role", "assignment", "create", "--assignee-object-id", crew["id"], "--assignee-principal-type", "Group", "--role", "Reader", "--scope", group)
    assert role["principalType"] == "Group"
    by_group = az("role", "assignment", "list", "--assignee", name, "--scope", group, "--include-groups")
    assert [(one["id"], one["principalName"]) for one in by_group] == [(role["id"], "Crew")]

    bearer = signed_in(server, name, PASSWORD).json()["access_token"]
    def read() -> int:
        url = f"{server.url}{group}?api-version=2024-11-01"
        return requests.get(url, headers={"Authorization": f"Bearer {bearer}"}, verify=server.ca, timeout=30).status_code
    assert read() == 200
    az("ad", "group", "member", "remove", "--group", crew["id"], "--member-id", gus["id"])
    assert read() == 403
    az("ad", "group", "delete", "--group", crew["id"])
    assert az.run("ad", "group", "show", "--group", crew["id"]).code != 0
    assert az("role", "assignment", "list", "--scope", group) == []
    az("ad", "user", "delete", "--id", name)


def test_applications_and_their_owners(az: Az, server: Server, group: str, tmp_path: Path) -> None:
    made = az("ad", "sp", "create-for-rbac", "--name", "people-app", "--role", "Contributor", "--scopes", group)
    again = az("ad", "sp", "create-for-rbac", "--name", "people-app", "--role", "Contributor", "--scopes", group)
    assert again["appId"] == made["appId"], "the command may be run twice"
    other = fresh(server, tmp_path)
    other("login", "--service-principal", "-u", made["appId"], "-p", again["password"], "--tenant", made["tenant"])
    assert other("group", "show", "--name", "people-rg")["id"] == group
    assert [one["appId"] for one in az("ad", "app", "list", "--display-name", "people")] == [made["appId"]]
    owner = az("ad", "user", "create", "--display-name", "Olga", "--user-principal-name", f"olga@{DOMAIN}", "--password", PASSWORD)
    az("ad", "app", "owner", "add", "--id", made["appId"], "--owner-object-id", owner["id"])
    assert [one["id"] for one in az("ad", "app", "owner", "list", "--id", made["appId"])] == [owner["id"]]
    az("ad", "app", "owner", "remove", "--id", made["appId"], "--owner-object-id", owner["id"])
    assert az("ad", "app", "owner", "list", "--id", made["appId"]) == []

    reset = az("ad", "sp", "credential", "reset", "--id", made["appId"], "--append", "--display-name", "second")
    shown = az("ad", "sp", "credential", "list", "--id", made["appId"])
    assert [one["displayName"] for one in shown] == ["second"]
    az("ad", "sp", "credential", "delete", "--id", made["appId"], "--key-id", shown[0]["keyId"])
    refused = token(server, grant_type="client_credentials", client_id=made["appId"], client_secret=reset["password"], scope=f"{server.url}/.default")
    assert refused.json()["error_codes"] == [7000215]

    # A disabled principal is out at once.
    sp = az("ad", "sp", "show", "--id", made["appId"])
    graph = f"{server.url}/graph"
    patch = ["rest", "--method", "patch", "--url", f"{graph}/v1.0/servicePrincipals/{sp['id']}", "--resource", graph, "--body"]
    az(*patch, json.dumps({"accountEnabled": False}))
    assert other.run("group", "show", "--name", "people-rg").code != 0
    az(*patch, json.dumps({"accountEnabled": True}))
    az("ad", "app", "delete", "--id", made["appId"])
    az("ad", "user", "delete", "--id", owner["id"])


def test_who_guesses_passwords_waits(az: Az, server: Server) -> None:
    name = f"lock-{uuid.uuid4().hex[:8]}@{DOMAIN}"
    az("ad", "user", "create", "--display-name", "Lock", "--user-principal-name", name, "--password", PASSWORD)
    codes = [signed_in(server, name, f"Wrong-Horse-{n}").json()["error_codes"][0] for n in range(11)]
    assert codes == [50126] * 11, codes
    locked = signed_in(server, name, PASSWORD)
    assert locked.status_code == 400 and locked.json()["error_codes"] == [50053], locked.text
    assert 1 <= int(locked.headers["Retry-After"]) <= 61
    # Nobody else is locked out by that, and a name that there is not is told apart from none that there is.
    assert signed_in(server, f"nobody@{DOMAIN}", PASSWORD).json()["error_codes"] == [50126]
    az("ad", "user", "delete", "--id", name)


def test_roles_and_what_is_asked_about_them(az: Az, server: Server, group: str) -> None:
    role = {"Name": "People operator", "Actions": ["Microsoft.Devices/*/read"], "DataActions": ["*/read"], "AssignableScopes": [group]}
    made = az("role", "definition", "create", "--role-definition", json.dumps(role))
    assert az("role", "definition", "show", "--id", made["id"])["roleName"] == "People operator"
    assert "People operator" in [one["roleName"] for one in az("role", "definition", "list", "--custom-role-only", "true", "--scope", group)]
    bad = az.run("role", "definition", "create", "--role-definition", json.dumps({**role, "Name": "x", "Actions": ["nonsense"]}))
    assert bad.code == 1 and "InvalidActionOrNotAction" in bad.stderr, bad.stderr
    condition = az.run(
        "role", "assignment", "create", "--assignee-object-id", str(uuid.uuid4()), "--assignee-principal-type", "User", "--role", "Reader",
        "--scope", group, "--condition", "@Resource[a] StringEquals 'b'",
    )
    assert condition.code == 1 and "does not evaluate conditions" in condition.stderr, condition.stderr
    az("role", "definition", "delete", "--name", "People operator", "--scope", group)
    shown = az("provider", "operation", "show", "--namespace", "Microsoft.Devices")
    kinds = {one["name"]: [op["name"] for op in one["operations"]] for one in shown["resourceTypes"]}
    assert "Microsoft.Devices/IotHubs/listkeys/action" in kinds["IotHubs"]
    assert {one["name"] for one in az("provider", "operation", "list")} >= {"Microsoft.Devices", "Microsoft.DeviceRegistry", "Microsoft.Authorization"}


def test_a_role_on_a_credential_is_found_where_it_was_given(az: Az, group: str) -> None:
    namespace = f"{group}/providers/Microsoft.DeviceRegistry/namespaces/people-ns"
    az.rest("put", namespace, "2026-03-01-preview", {"location": LOCATION, "identity": {"type": "SystemAssigned"}})
    credential = f"{namespace}/credentials/default"
    az.rest("put", credential, "2026-03-01-preview", {"location": LOCATION})
    az.rest("put", f"{credential}/policies/people-p1", "2026-03-01-preview", {"properties": {}})
    for scope in (credential, f"{credential}/policies/people-p1"):
        who = ["--assignee-object-id", str(uuid.uuid4())]
        made = az("role", "assignment", "create", *who, "--assignee-principal-type", "ServicePrincipal", "--role", "Reader", "--scope", scope)
        assert made["scope"] == scope
        assert [one["id"] for one in az("role", "assignment", "list", "--scope", scope, "--fill-principal-name", "false")] == [made["id"]]
        az("role", "assignment", "delete", *who, "--role", "Reader", "--scope", scope)
        assert az("role", "assignment", "list", "--scope", scope, "--fill-principal-name", "false") == []


def test_azure_identity_and_the_authorization_sdk(az: Az, server: Server, group: str) -> None:
    options = {"authority": server.url, "disable_instance_discovery": True, "connection_verify": server.ca}
    tenant, subscription = server.owner["tenantId"], server.owner["subscriptionId"]
    made = az("ad", "sp", "create-for-rbac", "--name", "people-cert", "--create-cert", "--role", "Reader", "--scopes", group)
    certificate = CertificateCredential(tenant, made["appId"], certificate_path=made["fileWithCertAndPrivateKey"], **options)
    name = f"ida@{DOMAIN}"
    az("ad", "user", "create", "--display-name", "Ida", "--user-principal-name", name, "--password", PASSWORD)
    az("role", "assignment", "create", "--assignee", name, "--role", "Reader", "--scope", group)
    person = UsernamePasswordCredential(CLI, name, PASSWORD, tenant_id="adfs", **options)
    claims = person.get_token(f"{server.url}/.default").token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert claims["upn"] == name and claims["idtyp"] == "user" and claims["scp"] == "user_impersonation"
    with pytest.raises(ClientAuthenticationError, match="AADSTS50126"):
        UsernamePasswordCredential(CLI, name, "Wrong-Horse-1", tenant_id="adfs", **options).get_token(f"{server.url}/.default")

    def client(credential: Any) -> AuthorizationManagementClient:
        return AuthorizationManagementClient(
            credential, subscription, base_url=server.url, credential_scopes=[f"{server.url}/.default"], connection_verify=server.ca
        )

    for credential in (certificate, person):
        held = list(client(credential).permissions.list_for_resource_group("people-rg"))
        assert [one.actions for one in held] == [["*/read"]]
    owner = client(ClientSecretCredential(tenant, server.owner["clientId"], server.owner["clientSecret"], **options))
    assert list(owner.permissions.list_for_resource_group("people-rg"))[0].actions == ["*"]
    assert list(owner.deny_assignments.list_for_scope(group)) == []
    with pytest.raises(HttpResponseError) as missing:
        owner.deny_assignments.get(group, str(uuid.uuid4()))
    assert missing.value.status_code == 404
    found = owner.provider_operations_metadata.get("Microsoft.DeviceRegistry")
    assert found.name == "Microsoft.DeviceRegistry" and found.resource_types
    roles = {one.role_name for one in owner.role_definitions.list(group)}
    assert roles >= {
        "Owner", "Contributor", "Reader", "User Access Administrator", "Role Based Access Control Administrator", "IoT Hub Data Contributor",
        "IoT Hub Data Reader", "IoT Hub Registry Contributor", "IoT Hub Twin Contributor", "Device Provisioning Service Data Contributor",
        "Device Provisioning Service Data Reader", "Azure Device Registry Contributor", "Azure Device Registry Onboarding",
        "Azure Device Registry Credentials Contributor", "Azure Device Registry Administrator", "Managed Identity Contributor",
        "Managed Identity Operator",
    }
    mine = list(client(person).role_assignments.list_for_scope(group, filter="asTarget()"))
    assert len(mine) == 1 and mine[0].principal_id == claims["oid"]
    az("ad", "user", "delete", "--id", name)
    az("ad", "app", "delete", "--id", made["appId"])
