"""The real azure-cli 2.91, unpatched (reference/clients.md, sections 1 and 2)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from lib import arm as versions
from lib.plant import LOCATION, ROLE_ACTIONS, Plant
from lib.server import ROOT, Output, Server

GROUP = "azcli-rg"


class Az:
    """`az` with a configuration folder of its own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.program = os.environ.get("FERROHUB_TEST_AZ", str(ROOT / "target" / "foreign" / "az" / "bin" / "az"))
        assert Path(self.program).is_file(), f"azure-cli is not at {self.program}; run 'cargo xtask test-foreign'"
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "AZURE_CONFIG_DIR": str(folder / "config"),
            "AZURE_EXTENSION_DIR": str(folder / "extensions"), "REQUESTS_CA_BUNDLE": server.ca, "SSL_CERT_FILE": server.ca,
            "AZURE_CORE_INSTANCE_DISCOVERY": "false", "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no", "PYTHONWARNINGS": "ignore",
        }

    def run(self, *arguments: str) -> Output:
        done = subprocess.run(
            [self.program, *arguments], env=self.environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=180
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str) -> Any:
        """Runs a command that must succeed and gives its JSON, if any."""
        done = self.run(*arguments)
        assert done.code == 0, f"az {' '.join(arguments)}: exit {done.code}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def rest(self, method: str, path: str, version: str, body: Any = None) -> Any:
        arguments = ["rest", "--method", method, "--url", f"{path}?api-version={version}"]
        return self(*arguments, *(["--body", json.dumps(body)] if body is not None else []))


@pytest.fixture(scope="module")
def az(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Signed in as the owner, by a service principal, on a registered cloud."""
    folder = tmp_path_factory.mktemp("azcli")
    az = Az(server, folder)
    owner = server.owner
    az("cloud", "register", "-n", "ferrohub", "--endpoint-resource-manager", server.url)
    az("cloud", "set", "-n", "ferrohub")
    listed = az("login", "--service-principal", "-u", owner["clientId"], "-p", owner["clientSecret"], "--tenant", owner["tenantId"])
    assert [one["id"] for one in listed] == [owner["subscriptionId"]]
    yield az
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def group(az: Az) -> str:
    made = az("group", "create", "--name", GROUP, "--location", LOCATION, "--tags", "purpose=test")
    assert made["name"] == GROUP and made["properties"]["provisioningState"] == "Succeeded" and made["tags"] == {"purpose": "test"}
    return str(made["id"])


def test_account(az: Az, server: Server) -> None:
    shown = az("account", "show")
    assert shown["id"] == server.owner["subscriptionId"] and shown["tenantId"] == server.owner["tenantId"]
    assert shown["environmentName"] == "ferrohub"
    assert LOCATION in [one["name"] for one in az("account", "list-locations")]
    assert az("account", "get-access-token")["accessToken"].count(".") == 2


def test_tokens_of_resource_manager_and_graph_are_two(az: Az, server: Server) -> None:
    def audience(*options: str) -> str:
        payload = az("account", "get-access-token", *options)["accessToken"].split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"]).rstrip("/")

    assert audience() == "https://management.azure.com"
    assert audience("--resource-type", "ms-graph") == f"{server.url}/graph"
    own = server.owner["clientId"]
    assert az("ad", "sp", "show", "--id", own)["appId"] == own
    shown = az("rest", "--url", f"{server.url}/graph/v1.0/servicePrincipals", "--resource", f"{server.url}/graph")
    assert own in [one["appId"] for one in shown["value"]]
    assert az.run("rest", "--url", f"{server.url}/graph/v1.0/servicePrincipals").code != 0, "az takes a token of Resource Manager"


def test_a_wrong_secret(server: Server, tmp_path: Path) -> None:
    az, owner = Az(server, tmp_path), server.owner
    az("cloud", "register", "-n", "ferrohub", "--endpoint-resource-manager", server.url)
    az("cloud", "set", "-n", "ferrohub")
    refused = az.run("login", "--service-principal", "-u", owner["clientId"], "-p", "wrong", "--tenant", owner["tenantId"])
    assert refused.code == 1 and "AADSTS7000215" in refused.stderr and "Traceback" not in refused.stderr, refused.stderr


def test_groups(az: Az, group: str) -> None:
    assert az("group", "show", "--name", GROUP.upper())["id"] == group
    assert GROUP in [one["name"] for one in az("group", "list")]
    assert az("group", "exists", "--name", GROUP) is True and az("group", "exists", "--name", "nowhere") is False
    missing = az.run("group", "show", "--name", "nowhere")
    assert missing.code == 3 and "ResourceGroupNotFound" in missing.stderr, missing.stderr
    az("group", "create", "--name", "azcli-gone", "--location", LOCATION)
    az("identity", "create", "--name", "inside", "--resource-group", "azcli-gone", "--location", LOCATION)
    az("group", "delete", "--name", "azcli-gone", "--yes")
    assert az("group", "exists", "--name", "azcli-gone") is False


def test_roles(az: Az, group: str) -> None:
    role = {"Name": "azcli-role", "Description": "d", "Actions": ROLE_ACTIONS, "AssignableScopes": [group]}
    made = az("role", "definition", "create", "--role-definition", json.dumps(role))
    assert made["roleName"] == "azcli-role" and made["roleType"] == "CustomRole" and made["permissions"][0]["actions"] == ROLE_ACTIONS
    assert az.run("role", "definition", "create", "--role-definition", json.dumps(role)).code != 0, "a role name is unique in the tenant"
    listed = az("role", "definition", "list", "--name", "azcli-role", "--scope", group)
    assert [one["id"] for one in listed] == [made["id"]]
    role["Description"] = "changed"
    assert az("role", "definition", "update", "--role-definition", json.dumps({**role, "id": made["id"], "roleName": "azcli-role"}))["description"] == "changed"

    first_party = az("role", "assignment", "create", "--assignee", "89d10474-74af-4874-99a7-c23c2f643083", "--role", "Contributor", "--scope", group)
    again = az("role", "assignment", "create", "--assignee", "89d10474-74af-4874-99a7-c23c2f643083", "--role", "Contributor", "--scope", group)
    assert again["id"] == first_party["id"]
    identity = az("identity", "create", "--name", "azcli-assignee", "--resource-group", GROUP, "--location", LOCATION)
    custom = az(
        "role", "assignment", "create", "--assignee-object-id", identity["principalId"], "--assignee-principal-type", "ServicePrincipal",
        "--role", "azcli-role", "--scope", group,
    )
    listed = az("role", "assignment", "list", "--scope", group)
    names = {one["id"]: one["roleDefinitionName"] for one in listed}
    assert names[first_party["id"]] == "Contributor" and names[custom["id"]] == "azcli-role"
    az("role", "assignment", "delete", "--ids", custom["id"])
    az("role", "definition", "delete", "--name", "azcli-role", "--scope", group)
    assert az("role", "definition", "list", "--name", "azcli-role", "--scope", group) == []


def test_a_service_principal_with_a_certificate(az: Az, server: Server, group: str, tmp_path: Path) -> None:
    """Made, used (an assertion signed PS256 by MSAL), listed, reset; deleting it leaves its application."""
    made = az("ad", "sp", "create-for-rbac", "--name", "azcli-cert", "--create-cert", "--role", "Reader", "--scopes", group)
    app, file = made["appId"], made["fileWithCertAndPrivateKey"]
    tenant = server.owner["tenantId"]

    def fresh(name: str) -> Az:
        """`az` without a token from before."""
        folder = tmp_path / name
        folder.mkdir()
        other = Az(server, folder)
        other("cloud", "register", "-n", "ferrohub", "--endpoint-resource-manager", server.url)
        other("cloud", "set", "-n", "ferrohub")
        return other

    other = fresh("first")
    login = ["login", "--service-principal", "-u", app, "--tenant", tenant, "--certificate"]
    other(*login, file)
    assert other("group", "show", "--name", GROUP)["id"] == group
    listed = az("ad", "app", "credential", "list", "--id", app, "--cert")
    assert [one["type"] for one in listed] == ["AsymmetricX509Cert"] and listed[0]["key"] is None
    az("ad", "app", "credential", "delete", "--id", app, "--key-id", listed[0]["keyId"], "--cert")
    az("ad", "sp", "credential", "reset", "--id", app, "--create-cert")
    refused = fresh("second").run(*login, file)
    assert refused.code == 1 and "AADSTS700027" in refused.stderr, refused
    secret = az("ad", "app", "credential", "reset", "--id", app, "--append")["password"]
    fresh("third")("login", "--service-principal", "-u", app, "-p", secret, "--tenant", tenant)
    az("ad", "sp", "delete", "--id", app)
    assert az("ad", "app", "show", "--id", app)["displayName"] == "azcli-cert"
    assert az.run("ad", "sp", "show", "--id", app).code == 3
    assert az("ad", "sp", "create", "--id", app)["appId"] == app
    az("ad", "app", "delete", "--id", app)
    assert az.run("ad", "app", "show", "--id", app).code == 3


def test_what_is_there_although_nothing_of_it_is_built(az: Az, group: str) -> None:
    az("provider", "register", "--namespace", "Microsoft.Storage")
    assert az("provider", "show", "--namespace", "Microsoft.Storage")["registrationState"] == "Registered"
    nobody = str(uuid.uuid4())
    made = az(
        "role", "assignment", "create", "--assignee-object-id", nobody, "--assignee-principal-type", "Group",
        "--role", "Reader", "--scope", group,
    )
    assert made["principalId"] == nobody and made["principalType"] == "Group"
    az("role", "assignment", "delete", "--ids", made["id"])


def test_the_metadata_of_older_versions(server: Server) -> None:
    answer = requests.get(f"{server.url}/metadata/endpoints?api-version=2015-01-01", verify=server.ca, timeout=30).json()
    assert answer["authentication"]["loginEndpoint"] == server.url and answer["galleryEndpoint"] and answer["graphEndpoint"]
    assert answer["authentication"]["audiences"][0].rstrip("/") == server.url


def test_identities(az: Az, group: str) -> None:
    made = az("identity", "create", "--name", "azcli-identity", "--resource-group", GROUP, "--location", LOCATION)
    assert uuid.UUID(made["principalId"]) and uuid.UUID(made["clientId"]) and made["resourceGroup"] == GROUP
    assert az("identity", "show", "--name", "azcli-identity", "--resource-group", GROUP) == made
    assert made["id"] in [one["id"] for one in az("identity", "list", "--resource-group", GROUP)]
    az("identity", "delete", "--name", "azcli-identity", "--resource-group", GROUP)
    assert az.run("identity", "show", "--name", "azcli-identity", "--resource-group", GROUP).code == 3


def test_hubs_and_provisioning(az: Az, group: str) -> None:
    hub = az("iot", "hub", "create", "--name", "azcli-hub", "--resource-group", GROUP, "--location", LOCATION, "--sku", "S1")
    assert hub["properties"]["hostName"] == "azcli-hub.azure-devices.localhost" and hub["resourcegroup"] == GROUP
    assert az("iot", "hub", "show", "--name", "azcli-hub")["id"] == hub["id"]
    assert az("iot", "hub", "show", "--name", "azcli-hub", "--resource-group", GROUP)["id"] == hub["id"]
    assert "azcli-hub" in [one["name"] for one in az("iot", "hub", "list", "--resource-group", GROUP)]
    assert hub["identity"]["type"] == "None" and [one["role"] for one in hub["properties"]["locations"]] == ["primary", "secondary"]
    assert az("iot", "hub", "identity", "assign", "--name", "azcli-hub", "--system")["type"] == "SystemAssigned"
    assert az("iot", "hub", "identity", "remove", "--name", "azcli-hub", "--system")["type"] == "None"
    policies = az("iot", "hub", "policy", "list", "--hub-name", "azcli-hub")
    assert {one["keyName"] for one in policies} >= {"iothubowner", "service", "device", "registryRead", "registryReadWrite"}
    assert az("iot", "hub", "certificate", "list", "--hub-name", "azcli-hub", "--resource-group", GROUP) == {"value": []}
    updated = az("iot", "hub", "update", "--name", "azcli-hub", "--resource-group", GROUP, "--set", "tags.colour=blue")
    assert updated["tags"] == {"colour": "blue"}

    dps = az("iot", "dps", "create", "--name", "azcli-dps", "--resource-group", GROUP, "--location", LOCATION)
    assert dps["properties"]["iotHubs"] == [] and dps["properties"]["idScope"]
    linked = az("iot", "dps", "linked-hub", "create", "--dps-name", "azcli-dps", "--resource-group", GROUP, "--hub-name", "azcli-hub")
    assert [one["name"] for one in linked] == [hub["properties"]["hostName"]]
    listed = az("iot", "dps", "linked-hub", "list", "--dps-name", "azcli-dps", "--resource-group", GROUP)
    assert listed == linked and "****" in listed[0]["connectionString"], listed
    shown = az("iot", "dps", "linked-hub", "show", "--dps-name", "azcli-dps", "--resource-group", GROUP, "--linked-hub", "azcli-hub")
    assert shown["name"] == hub["properties"]["hostName"]
    changed = az("iot", "dps", "update", "--name", "azcli-dps", "--resource-group", GROUP, "--set", "properties.allocationPolicy=GeoLatency")
    assert changed["properties"]["allocationPolicy"] == "GeoLatency" and len(changed["properties"]["iotHubs"]) == 1
    az("iot", "dps", "linked-hub", "delete", "--dps-name", "azcli-dps", "--resource-group", GROUP, "--linked-hub", "azcli-hub")
    az("iot", "dps", "delete", "--name", "azcli-dps", "--resource-group", GROUP)
    az("iot", "hub", "delete", "--name", "azcli-hub", "--resource-group", GROUP)
    assert az("resource", "list", "--resource-group", GROUP, "--query", "[?contains(type, 'Devices')]") == []


def test_reading_a_hub(az: Az, group: str) -> None:
    """What core az reads below a hub: consumer groups, quotas, statistics, SKUs."""
    hub = "azcli-reading"
    az("iot", "hub", "create", "--name", hub, "--resource-group", GROUP, "--location", LOCATION)
    made = az("iot", "hub", "consumer-group", "create", "--hub-name", hub, "--name", "cg1")
    assert made["name"] == "cg1" and made["id"].endswith("/ConsumerGroups/cg1")
    assert az("iot", "hub", "consumer-group", "show", "--hub-name", hub, "--name", "cg1") == made
    listed = az("iot", "hub", "consumer-group", "list", "--hub-name", hub)
    assert [one["name"] for one in listed] == ["$Default", "cg1"]
    az.run("iot", "hub", "consumer-group", "delete", "--hub-name", hub, "--name", "cg1")
    assert [one["name"] for one in az("iot", "hub", "consumer-group", "list", "--hub-name", hub)] == ["$Default"]
    metrics = {one["name"]: one["currentValue"] for one in az("iot", "hub", "show-quota-metrics", "--name", hub)}
    assert metrics == {"TotalMessages": 0, "TotalDeviceCount": 0}
    assert az("iot", "hub", "show-stats", "--name", hub)["totalDeviceCount"] == 0
    assert {one["sku"]["name"] for one in az("iot", "hub", "list-skus", "--name", hub)} >= {"F1", "S1"}
    az("iot", "hub", "update", "--name", hub, "--resource-group", GROUP, "--disable-module-sas", "true")
    az.run("iot", "hub", "delete", "--name", hub, "--resource-group", GROUP)


def test_settings_of_a_hub_do_something_or_are_refused(az: Az, group: str, server: Server) -> None:
    hub = ("--name", "azcli-strict", "--resource-group", GROUP)
    made = az("iot", "hub", "create", *hub, "--location", LOCATION, "--sku", "S1", "--min-tls-version", "1.3")
    host = made["properties"]["hostName"]
    for flag, welcome in (("-tls1_2", False), ("-tls1_3", True)):
        command = ["openssl", "s_client", "-connect", f"localhost:{server.https_port}", "-servername", host, flag]
        done = subprocess.run(command, input="", text=True, capture_output=True, timeout=30, check=False)
        assert (done.returncode == 0) is welcome, f"{flag}: {done.stdout}\n{done.stderr}"
    for arguments, words in (
        (("--min-tls-version", "1.2"), "minTlsVersion"),
        (("--fcs", "AccountName=a;AccountKey=c2VjcmV0", "--fc", "files"), "no file upload"),
        (("--c2d-ttl", "4"), "no cloud-to-device messages"),
        (("--set", "properties.networkRuleSets.defaultAction=Deny"), "ipFilterRules"),
    ):
        refused = az.run("iot", "hub", "update", *hub, *arguments)
        assert refused.code != 0 and words in refused.stderr and "c2VjcmV0" not in refused.stderr, refused.stderr

    def reached() -> bool:
        url = f"https://localhost:{server.https_port}/devices/x?api-version=2021-04-12"
        answer = requests.get(url, headers={"Host": host}, verify=server.ca, timeout=30)
        assert answer.status_code == 401, answer.text
        return "cannot be reached from this address" not in answer.text

    assert reached()
    for name, value in (("Disabled", False), ("Enabled", True)):
        az("iot", "hub", "update", *hub, "--set", f"properties.publicNetworkAccess={name}")
        assert reached() is value
    rules = json.dumps([{"filterName": "away", "action": "Accept", "ipMask": "192.0.2.0/24"}])
    az("iot", "hub", "update", *hub, "--set", f"properties.ipFilterRules={rules}")
    assert not reached()
    az("iot", "hub", "delete", *hub)


def test_providers(az: Az) -> None:
    for namespace, kind in (("Microsoft.DeviceRegistry", "namespaces"), ("Microsoft.Devices", "IotHubs")):
        az("provider", "register", "--namespace", namespace, "--wait")
        shown = az("provider", "show", "--namespace", namespace)
        assert shown["registrationState"] == "Registered"
        assert kind.lower() in [one["resourceType"].lower() for one in shown["resourceTypes"]]
    assert "Microsoft.Devices" in [one["namespace"] for one in az("provider", "list")]
    missing = az.run("provider", "show", "--namespace", "Microsoft.Nonsense")
    assert missing.code != 0 and "InvalidResourceNamespace" in missing.stderr, missing.stderr


def test_groups_and_resources_by_their_generic_commands(az: Az, group: str) -> None:
    az("group", "wait", "--name", GROUP, "--exists", "--timeout", "30")
    assert az("group", "update", "--name", GROUP, "--set", "tags.by=update")["tags"]["by"] == "update"
    made = az("identity", "create", "--name", "azcli-generic", "--resource-group", GROUP, "--location", LOCATION)
    shown = az("identity", "show", "--ids", made["id"])
    assert shown["principalId"] == made["principalId"]
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    listed = az("resource", "list", "--resource-group", GROUP, "--resource-type", kind)
    assert "azcli-generic" in [one["name"] for one in listed]
    generic = az("resource", "show", "--ids", made["id"])
    assert generic["properties"]["principalId"] == made["principalId"]
    assert az("resource", "show", "--resource-group", GROUP, "--name", "azcli-generic", "--resource-type", kind)["id"] == generic["id"]
    az("identity", "delete", "--ids", made["id"])


def test_lists_by_tag_and_filter(az: Az, group: str) -> None:
    az("group", "create", "--name", "azcli-red", "--location", LOCATION, "--tags", "colour=red", "size=1")
    az("group", "create", "--name", "azcli-blue", "--location", LOCATION, "--tags", "colour=blue")
    names = lambda *arguments: sorted(one["name"] for one in az(*arguments))  # noqa: E731
    assert names("group", "list", "--tag", "colour") == ["azcli-blue", "azcli-red"]
    assert names("group", "list", "--tag", "colour=red") == ["azcli-red"]
    assert names("group", "list", "--tag", "nothing") == []
    made = az("identity", "create", "--name", "azcli-tagged", "--resource-group", "azcli-red", "--location", LOCATION, "--tags", "team=x")
    assert made["id"] in [one["id"] for one in az("resource", "list")], "a bare list sends an empty $filter"
    assert names("resource", "list", "--tag", "team") == names("resource", "list", "--tag", "team=x") == ["azcli-tagged"]
    assert names("resource", "list", "--tag", "te*") == ["azcli-tagged"]
    assert names("resource", "list", "--name", "azcli-tagged", "--location", LOCATION) == ["azcli-tagged"]
    assert names("ad", "sp", "list", "--filter", "displayname eq 'nobody' and servicePrincipalType eq 'Application'") == []
    refused = az.run("ad", "sp", "list", "--filter", "colour eq 'red'")
    assert refused.code != 0 and "'colour' is not known" in refused.stderr, refused.stderr
    for name in ("azcli-red", "azcli-blue"):
        az("group", "delete", "--name", name, "--yes")


def test_what_is_not_built_is_not_said_to_be_missing(az: Az, group: str) -> None:
    az("iot", "hub", "create", "--name", "azcli-not-built", "--resource-group", GROUP, "--location", LOCATION, "--sku", "S1")
    hub = f"{group}/providers/Microsoft.Devices/IotHubs/azcli-not-built"
    for words, what in (
        (("policy", "assignment", "list"), "Azure Policy"),
        (("policy", "definition", "list"), "Azure Policy"),
        (("deployment", "group", "list", "--resource-group", GROUP), "template deployments"),
        (("deployment", "sub", "list"), "template deployments"),
        (("stack", "sub", "list"), "deployment stacks"),
        (("account", "management-group", "list"), "management groups"),
        (("group", "export", "--name", GROUP), "the export of templates"),
        (("monitor", "diagnostic-settings", "list", "--resource", hub), "diagnostic settings"),
        (("monitor", "metrics", "list", "--resource", hub), "metrics"),
        (("feature", "list"), "preview features"),
        (("resource", "list", "--resource-type", "Microsoft.Storage/storageAccounts"), ""),
        (("resource", "show", "--ids", f"{group}/providers/Microsoft.Storage/storageAccounts/x", "--api-version", "2024-01-01"), "storage accounts"),
        (("rest", "--method", "get", "--url", f"{group}/providers/Microsoft.DeviceRegistry/discoveredAssets?api-version=2024-09-01-preview"), "discovered assets"),
    ):
        done = az.run(*words)
        text = " ".join(words)
        if not what:
            assert done.code == 0, f"az {text}: {done.stderr}"
            continue
        assert done.code not in (0, 3) and what in done.stderr, f"az {text}: exit {done.code} {done.stdout} {done.stderr}"
        assert "Traceback" not in done.stderr and "does not exist" not in done.stderr, f"az {text}: {done.stderr}"


def test_policies_of_a_hub(az: Az, group: str) -> None:
    """Shared access policies, of which core az reads and writes the whole list with their keys."""
    hub = ["--hub-name", "azcli-policies"]
    az("iot", "hub", "create", "--name", "azcli-policies", "--resource-group", GROUP, "--location", LOCATION, "--sku", "S1")
    before = az("iot", "hub", "policy", "show", *hub, "--name", "iothubowner")
    az("iot", "hub", "policy", "create", *hub, "--name", "azcli-policy", "--permissions", "RegistryRead", "ServiceConnect")
    made = az("iot", "hub", "policy", "show", *hub, "--name", "azcli-policy")
    assert made["rights"].replace(" ", "") == "RegistryRead,ServiceConnect" and made["primaryKey"] != made["secondaryKey"]
    az("iot", "hub", "policy", "renew-key", *hub, "--name", "azcli-policy", "--renew-key", "primary")
    renewed = az("iot", "hub", "policy", "show", *hub, "--name", "azcli-policy")
    assert renewed["primaryKey"] != made["primaryKey"] and renewed["secondaryKey"] == made["secondaryKey"]
    assert az("iot", "hub", "policy", "show", *hub, "--name", "iothubowner") == before, "another policy's keys changed"
    az("iot", "hub", "policy", "delete", *hub, "--name", "azcli-policy")
    assert "azcli-policy" not in [one["keyName"] for one in az("iot", "hub", "policy", "list", *hub)]
    az("iot", "hub", "delete", "--name", "azcli-policies", "--resource-group", GROUP)


def test_old_versions_keep_what_they_cannot_say(az: Az, plant: Plant) -> None:
    """Core az reads and writes the hub with 2023-06-30-preview and DPS with 2021-10-15, which know no namespace."""
    before = plant.arm.get(plant.hub, versions.HUB), plant.arm.get(plant.dps, versions.DPS)
    az("iot", "hub", "update", "--name", plant.hub_name, "--resource-group", plant.group_name, "--set", "tags.by=az")
    az("iot", "dps", "update", "--name", plant.dps.rsplit("/", 1)[1], "--resource-group", plant.group_name, "--set", "tags.by=az")
    after = plant.arm.get(plant.hub, versions.HUB), plant.arm.get(plant.dps, versions.DPS)
    for name, old, new in zip(("deviceRegistry", "deviceRegistryNamespace"), before, after):
        assert old["properties"][name] and new["properties"][name] == old["properties"][name]
        assert new["identity"] == old["identity"] and new["tags"] == {"by": "az"}
    certificates = az("iot", "hub", "certificate", "list", "--hub-name", plant.hub_name, "--resource-group", plant.group_name)["value"]
    assert len(certificates) >= 1 and certificates[0]["properties"]["thumbprint"]
    named = ["--hub-name", plant.hub_name, "--resource-group", plant.group_name, "--name", certificates[0]["name"]]
    assert az("iot", "hub", "certificate", "show", *named)["properties"]["thumbprint"] == certificates[0]["properties"]["thumbprint"]
    assert plant.register("after-az-update").body["status"] == "assigned", "the linked hub's key was lost"


def test_registry_by_rest(az: Az, group: str) -> None:
    path = f"/subscriptions/{{subscriptionId}}/resourceGroups/{GROUP}/providers/Microsoft.DeviceRegistry/namespaces/azcli-ns"
    version = versions.REGISTRY
    made = az.rest("put", path, version, {"location": LOCATION, "identity": {"type": "SystemAssigned"}})
    assert made["properties"]["provisioningState"] == "Succeeded" and made["identity"]["principalId"]
    az.rest("put", f"{path}/credentials/default", version, {"location": LOCATION, "properties": {}})
    az.rest("put", f"{path}/credentials/default/policies/default", version, {"location": LOCATION, "properties": {}})
    policies = az.rest("get", f"{path}/credentials/default/policies", version)["value"]
    assert [one["name"] for one in policies] == ["default"]
    assert az.rest("get", path, "2025-11-01-preview")["id"] == made["id"]
    az.rest("post", f"{path}/credentials/default/synchronize", version)
    assert az.rest("get", f"{path}/devices", version)["value"] == []
    az.rest("delete", path, version)
    missing = az.run("rest", "--method", "get", "--url", f"{path}?api-version={version}")
    assert missing.code != 0 and "ResourceNotFound" in missing.stderr, missing.stderr


@pytest.mark.parametrize("service", ["hub", "dps"])
def test_possession_of_a_certificate(az: Az, plant: Plant, tmp_path: Path, service: str) -> None:
    """The whole life of an uploaded CA, as Azure's tutorials have it: upload, code, proof by OpenSSL, verified, deleted under its etag."""
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", f"/CN=factory-{service}")
    name = f"factory-{service}"
    holder = {"hub": ["--hub-name", plant.hub_name, "--name", name], "dps": ["--dps-name", plant.dps.rsplit("/", 1)[1], "--certificate-name", name]}[service]
    command, named = ["iot", service, "certificate"], [*holder, "--resource-group", plant.group_name]
    made = az(*command, "create", *named, "--path", str(tmp_path / "ca.pem"))
    assert made["properties"]["isVerified"] is False and made["properties"]["subject"] == f"CN=factory-{service}"
    assert az(*command, "show", *named)["etag"] == made["etag"]
    coded = az(*command, "generate-verification-code", *named, "--etag", made["etag"])
    code = coded["properties"]["verificationCode"]
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "proof.key", "-out", "proof.csr", "-subj", f"/CN={code}")
    openssl("x509", "-req", "-in", "proof.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "proof.pem", "-days", "1")
    wrong = az.run(*command, "verify", *named, "--path", str(tmp_path / "ca.pem"), "--etag", coded["etag"])
    assert wrong.code != 0 and "verification code" in wrong.stderr, wrong.stderr
    verified = az(*command, "verify", *named, "--path", str(tmp_path / "proof.pem"), "--etag", coded["etag"])
    assert verified["properties"]["isVerified"] is True
    assert name in [one["name"] for one in az(*command, "list", *named[:2], *named[-2:])["value"]]
    stale = az.run(*command, "delete", *named, "--etag", made["etag"])
    assert stale.code != 0
    az(*command, "delete", *named, "--etag", verified["etag"])
    assert name not in [one["name"] for one in az(*command, "list", *named[:2], *named[-2:])["value"]]
