"""A whole installation: group, role, identity, namespace, hub, DPS, enrollment group."""

from __future__ import annotations

import base64
import os
import uuid
from dataclasses import dataclass, field
from typing import Any

import requests

from lib import arm as versions
from lib.arm import Arm
from lib.dps import Answer, register
from lib.keys import Chain, derived, sas
from lib.mqtt import Mqtt
from lib.server import Server

LOCATION = "swedencentral"
ENROLLMENT_API = "2025-07-01-preview"
HUB_DATA_API = "2021-04-12"
ROLE_ACTIONS = [
    "Microsoft.DeviceRegistry/namespaces/devices/read",
    "Microsoft.DeviceRegistry/namespaces/devices/write",
    "Microsoft.DeviceRegistry/namespaces/read",
    "Microsoft.DeviceRegistry/namespaces/write",
    "Microsoft.DeviceRegistry/namespaces/credentials/read",
    "Microsoft.DeviceRegistry/namespaces/credentials/policies/read",
]


@dataclass
class Plant:
    """Names, ids and keys of one installation."""

    server: Server
    arm: Arm
    prefix: str
    group: str
    role: str
    identity: str
    identity_principal: str
    namespace: str
    namespace_principal: str
    hub: str
    hub_host: str
    hub_key: str
    dps: str
    dps_host: str
    dps_key: str
    id_scope: str
    group_key: str
    assignments: dict[str, str]
    # Keeps connections, which a test with hundreds of requests needs.
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def policy(self) -> str:
        return f"{self.namespace}/credentials/default/policies/default"

    @property
    def group_name(self) -> str:
        return self.group.rsplit("/", 1)[1]

    @property
    def hub_name(self) -> str:
        return self.hub.rsplit("/", 1)[1]

    def key(self, device: str) -> str:
        """A device's key, derived from the group's."""
        return derived(self.group_key, device)

    def register(self, device: str, csr: str | None = None) -> Answer:
        return register(self.server, self.id_scope, device, self.key(device), csr)

    def username(self, device: str, host: str | None = None) -> str:
        return f"{host or self.hub_host}/{device}/?api-version={HUB_DATA_API}"

    def connect(
        self, device: str, chain: Chain | None = None, password: str | None = None, host: str | None = None, clean: bool = True
    ) -> Mqtt:
        """A device's connection to the hub: with a chain, else with a SAS token of its derived key."""
        secret = password if password or chain else sas(f"{self.hub_host}/devices/{device}", self.key(device))
        return Mqtt(self.server, device, self.username(device, host), secret, chain, clean=clean)

    def hub_rest(self, method: str, path: str, body: Any = None, authorization: str | None = None, **headers: str) -> requests.Response:
        """One request to the hub's service API, by SAS of the owner's policy unless told otherwise."""
        sent = {
            "Host": f"{self.hub_host}:{self.server.https_port}",
            "Authorization": authorization or sas(self.hub_host, self.hub_key, "iothubowner"),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        url = f"https://localhost:{self.server.https_port}{path}?api-version={HUB_DATA_API}"
        return self.session.request(method, url, json=body, headers=sent, verify=self.server.ca, timeout=60)

    def dps_rest(self, method: str, path: str, body: Any = None, authorization: str | None = None) -> requests.Response:
        """One request to the provisioning service's service API."""
        sent = {
            "Host": f"{self.dps_host}:{self.server.https_port}",
            "Authorization": authorization or sas(self.dps_host, self.dps_key, "provisioningserviceowner"),
        }
        url = f"https://localhost:{self.server.https_port}{path}?api-version={ENROLLMENT_API}"
        return self.session.request(method, url, json=body, headers=sent, verify=self.server.ca, timeout=60)

    def synchronize(self) -> None:
        self.arm.post(f"{self.namespace}/credentials/default/synchronize", versions.REGISTRY)

    def renew_hub_keys(self) -> None:
        """New keys for the hub's `iothubowner`, written as `az iot hub policy renew-key` does."""
        hub, rules = self.arm.get(self.hub, versions.HUB), self.arm.post(f"{self.hub}/listkeys", versions.HUB)["value"]
        owner = next(rule for rule in rules if rule["keyName"] == "iothubowner")
        owner["primaryKey"], owner["secondaryKey"] = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
        hub["properties"]["authorizationPolicies"] = rules
        self.arm.put(self.hub, versions.HUB, hub)
        self.hub_key = owner["primaryKey"]

    def hub_certificates(self) -> list[dict[str, Any]]:
        return self.arm.get(f"{self.hub}/certificates", versions.HUB)["value"]


def build(server: Server, prefix: str, synchronize: bool = True, tags: dict[str, str] | None = None) -> Plant:
    """Makes an installation; every name starts with `prefix`. The namespace gets `tags`."""
    arm = Arm(server)
    group = f"{arm.subscription}/resourceGroups/{prefix}-rg"
    arm.put(group, versions.GROUP, {"location": LOCATION})
    role = f"{group}/providers/Microsoft.Authorization/roleDefinitions/{uuid.uuid4()}"
    permissions = [{"actions": ROLE_ACTIONS, "notActions": [], "dataActions": [], "notDataActions": []}]
    arm.put(role, versions.ROLE, {"properties": {"roleName": f"{prefix}-role", "assignableScopes": [group], "permissions": permissions}})
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{prefix}-identity"
    principal = arm.put(identity, versions.IDENTITY, {"location": LOCATION})["properties"]["principalId"]
    namespace = f"{group}/providers/Microsoft.DeviceRegistry/namespaces/{prefix}-ns"
    made = arm.put(namespace, versions.REGISTRY, {"location": LOCATION, "identity": {"type": "SystemAssigned"}, "tags": tags or {}})
    arm.put(f"{namespace}/credentials/default", versions.REGISTRY, {"location": LOCATION, "properties": {}})
    arm.put(f"{namespace}/credentials/default/policies/default", versions.REGISTRY, {"location": LOCATION, "properties": {}})
    assignments = {"identity on namespace": arm.assign(namespace, principal, role)}
    hub = add_hub(arm, group, f"{prefix}-hub", namespace, identity)
    for name, built_in in (("namespace contributor", versions.CONTRIBUTOR), ("namespace registry", versions.HUB_REGISTRY_CONTRIBUTOR)):
        assignments[name] = arm.assign(hub["id"], made["identity"]["principalId"], built_in)
    hub_key = shared_key(arm, hub["id"], versions.HUB, "iothubowner")
    dps = add_dps(arm, group, f"{prefix}-dps", namespace, identity, [link(hub, hub_key)])
    plant = Plant(
        server=server, arm=arm, prefix=prefix, group=group, role=role, identity=identity, identity_principal=principal,
        namespace=namespace, namespace_principal=made["identity"]["principalId"], hub=hub["id"],
        hub_host=hub["properties"]["hostName"], hub_key=hub_key, dps=dps["id"],
        dps_host=dps["properties"]["serviceOperationsHostName"],
        dps_key=shared_key(arm, dps["id"], versions.DPS, "provisioningserviceowner"),
        id_scope=dps["properties"]["idScope"], group_key="", assignments=assignments,
    )
    if synchronize:
        plant.synchronize()
    plant.group_key = enroll(plant, "group", "default")
    return plant


def add_hub(arm: Arm, group: str, name: str, namespace: str | None, identity: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"location": LOCATION, "sku": {"name": "GEN2" if namespace else "S1", "capacity": 1}, "properties": {}}
    if identity:
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    if namespace:
        body["properties"]["deviceRegistry"] = {"namespaceResourceId": namespace, "identityResourceId": identity}
    return arm.put(f"{group}/providers/Microsoft.Devices/IotHubs/{name}", versions.HUB, body)


def add_dps(
    arm: Arm, group: str, name: str, namespace: str | None, identity: str | None, hubs: list[dict[str, Any]],
) -> dict[str, Any]:
    body: dict[str, Any] = {"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "properties": {"iotHubs": hubs}}
    if identity:
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    if namespace:
        body["properties"]["deviceRegistryNamespace"] = {
            "resourceId": namespace, "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": identity,
        }
    return arm.put(f"{group}/providers/Microsoft.Devices/provisioningServices/{name}", versions.DPS, body)


def link(hub: dict[str, Any], key: str) -> dict[str, Any]:
    """A linked hub, as `az iot dps linked-hub create` sends it."""
    text = f"HostName={hub['properties']['hostName']};SharedAccessKeyName=iothubowner;SharedAccessKey={key}"
    return {"connectionString": text, "location": hub["location"]}


def shared_key(arm: Arm, resource: str, version: str, name: str) -> str:
    keys = arm.post(f"{resource}/listkeys", version)["value"]
    return str(next(key["primaryKey"] for key in keys if key["keyName"] == name))


def enroll(plant: Plant, name: str, policy: str | None) -> str:
    """Makes a symmetric-key enrollment group and gives its key."""
    body: dict[str, Any] = {"enrollmentGroupId": name, "attestation": {"type": "symmetricKey", "symmetricKey": {}}}
    if policy:
        body["credentialPolicyName"] = policy
    made = plant.dps_rest("PUT", f"/enrollmentGroups/{name}", body)
    assert made.status_code == 200, made.text
    keys = plant.dps_rest("POST", f"/enrollmentGroups/{name}/attestationmechanism")
    assert keys.status_code == 200, keys.text
    return str(keys.json()["symmetricKey"]["primaryKey"])
