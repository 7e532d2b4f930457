"""2026-11-02-preview by clients of Azure: a namespace links hub and provisioning service by its endpoints, devices come to the hub that
it offers and are registry devices, groups find them; the links outlive `kill -9`. azure-mgmt-resource sends what no SDK has models of."""

from __future__ import annotations

import random
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Callable

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient

from lib import arm as versions
from lib.arm import Arm
from lib.dps import register
from lib.keys import b64, check_chain, csr, derived, new_key, sas, save_chain
from lib.plant import ENROLLMENT_API, LOCATION, Plant, shared_key
from lib.server import Server, until

NEWEST = "2026-11-02-preview"
REGISTRY_CONTRIBUTOR = "a5c3590a-3a1a-4cd4-9648-ea0a32b15137"
SYSTEM = {"type": "SystemAssigned"}
TURNS = 4
SEED = 11


class Site:
    """A namespace, a hub and a provisioning service with every role that links need, and no link."""

    def __init__(self, server: Server, prefix: str) -> None:
        self.arm = Arm(server)
        self.group = f"{self.arm.subscription}/resourceGroups/{prefix}-rg"
        self.arm.put(self.group, versions.GROUP, {"location": LOCATION})
        self.namespace = f"{self.group}/providers/Microsoft.DeviceRegistry/namespaces/{prefix}-ns"
        self.hub = f"{self.group}/providers/Microsoft.Devices/IotHubs/{prefix}-hub"
        self.dps = f"{self.group}/providers/Microsoft.Devices/provisioningServices/{prefix}-dps"
        sku = {"name": "S1", "capacity": 1}
        namespace = self.arm.put(self.namespace, NEWEST, {"location": LOCATION, "identity": SYSTEM})
        hub = self.arm.put(self.hub, versions.HUB, {"location": LOCATION, "sku": sku, "identity": SYSTEM})
        dps = self.arm.put(self.dps, versions.DPS, {"location": LOCATION, "sku": sku, "identity": SYSTEM})
        self.hub_host = hub["properties"]["hostName"]
        self.dps_host, self.id_scope = dps["properties"]["serviceOperationsHostName"], dps["properties"]["idScope"]
        for role in (versions.CONTRIBUTOR, versions.HUB_DATA_CONTRIBUTOR):
            self.arm.assign(self.hub, namespace["identity"]["principalId"], role)
        for one in (hub, dps):
            self.arm.assign(self.namespace, one["identity"]["principalId"], REGISTRY_CONTRIBUTOR)

    def body(self) -> dict[str, Any]:
        hub = {"endpointType": "Microsoft.Devices/IotHubs", "resourceId": self.hub, "inboundCallerIdentity": SYSTEM}
        hub["provisioning"] = {"availability": "Available", "allocationWeight": 1}
        dps = {"endpointType": "Microsoft.Devices/provisioningServices", "resourceId": self.dps, "inboundCallerIdentity": SYSTEM}
        properties = {"messaging": {"endpoints": {"hub-1": hub}}, "provisioning": {"endpoints": {"dps-1": dps}}}
        return {"location": LOCATION, "identity": SYSTEM, "properties": properties}


@pytest.fixture(scope="module")
def site(server: Server) -> Site:
    return Site(server, "links")


@pytest.fixture(scope="module")
def resources(server: Server) -> Any:
    owner, url, ca = server.owner, server.url, server.ca
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=url, disable_instance_discovery=True, connection_verify=ca
    )
    client = ResourceManagementClient(
        credential, owner["subscriptionId"], base_url=url, credential_scopes=[f"{url}/.default"], connection_verify=ca
    )
    return client.resources


def test_the_whole_way_of_the_newest_generation(server: Server, site: Site, resources: Any, tmp_path: Path) -> None:
    def put(path: str, body: dict[str, Any]) -> Any:
        return resources.begin_create_or_update_by_id(path, body, api_version=NEWEST).result()

    linked = put(site.namespace, site.body()).properties
    assert linked["messaging"]["endpoints"]["hub-1"]["linkingState"] == "Succeeded", linked
    assert linked["provisioning"]["endpoints"]["dps-1"]["linkingState"] == "Succeeded", linked
    # What was read is put back, by the SDK's own model of it.
    read = resources.get_by_id(site.namespace, api_version=NEWEST)
    assert resources.begin_create_or_update_by_id(site.namespace, read, api_version=NEWEST).result().properties == linked

    root, ica = f"{site.namespace}/certificateAuthorities/root1", f"{site.namespace}/certificateAuthorities/ica1"
    put(root, {"location": LOCATION, "properties": {"certificateAuthorityType": "Root", "keyType": "ECC"}})
    issuer = {"issuerType": "Microsoft", "certificateAuthorityResourceId": root}
    put(ica, {"location": LOCATION, "properties": {"certificateAuthorityType": "ICA", "keyType": "ECC", "issuer": issuer}})
    policy = f"{ica}/certificatePolicies/leaf30"
    put(policy, {"location": LOCATION, "properties": {"certificate": {"validityPeriodInDays": 30}}})
    certificates = f"{site.hub}/certificates"
    until("the issuing CA is at the hub unasked", lambda: len(site.arm.get(certificates, versions.HUB)["value"]) == 1, 60)

    key = enroll(server, site, "leaf30")
    device_key = new_key()
    answer = register(server, site.id_scope, "pump-1", derived(key, "pump-1"), b64(csr(device_key, "pump-1")))
    assert answer.state.get("assignedHub") == site.hub_host, answer.body
    chain = save_chain(tmp_path, "pump", answer.state["issuedCertificateChain"], device_key)
    check_chain(tmp_path, chain, "pump-1", device_key)

    device = f"{site.namespace}/registryDevices/pump-1"
    shown = resources.get_by_id(device, api_version=NEWEST)
    assert shown.properties["enablementState"] == "Enabled" and shown.properties["externalDeviceId"] == "pump-1"
    shown.properties["hardwareRevision"] = "B"
    assert resources.begin_create_or_update_by_id(device, shown, api_version=NEWEST).result().properties["hardwareRevision"] == "B"
    profile = site.arm.get(f"{device}/authenticationProfiles", NEWEST)["value"][0]
    assert profile["properties"]["certificateAuthority"]["certificatePolicyResourceId"] == policy
    capability = site.arm.get(f"{device}/capabilities/hub-1", NEWEST)
    assert capability["properties"]["authenticationProfileResourceId"] == profile["id"]
    put(f"{device}/attributes/place", {"properties": {"reportedBy": "User", "hall": 7}})

    group = f"{site.namespace}/groups/in-hall"
    query = "WHERE attributes.place.hall = 7 AND properties.hardwareRevision = 'B'"
    made = put(group, {"location": LOCATION, "properties": {"groupType": "RegistryDevice", "queryFilter": query}})
    assert made.properties["membershipState"] == "Ready"
    assert site.arm.post(f"{group}/listMembers", NEWEST, {"pageSize": 10}) == {"members": [{"id": device}]}
    assert site.arm.post(f"{group}/countMembers", NEWEST) == {"count": 1}
    site.arm.post(f"{group}/refreshMembers", NEWEST)

    site.arm.post(f"{profile['id']}/revokeCertificates", NEWEST)
    with pytest.raises(HttpResponseError) as held:
        less = site.body()
        less["properties"]["messaging"]["endpoints"] = {}
        put(site.namespace, less)
    assert (held.value.status_code, held.value.error.code) == (409, "EndpointInUse")
    resources.begin_delete_by_id(group, api_version=NEWEST).result()
    with pytest.raises(ResourceNotFoundError):
        resources.get_by_id(group, api_version=NEWEST)


def enroll(server: Server, site: Site, policy: str) -> str:
    """An enrollment group with the three names of 2026-11-01, and its key."""
    owner = shared_key(site.arm, site.dps, versions.DPS, "provisioningserviceowner")
    token = sas(site.dps_host, owner, "provisioningserviceowner")
    body = {
        "enrollmentGroupId": "group", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
        "namespaceName": site.namespace.rsplit("/", 1)[1], "certificateAuthorityName": "ica1", "certificatePolicyName": policy,
    }

    def ask(method: str, path: str, version: str, sent: Any = None) -> Any:
        headers = {"Host": site.dps_host, "Authorization": token}
        answer = requests.request(method, f"{server.url}{path}?api-version={version}", json=sent, headers=headers, verify=server.ca, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    ask("PUT", "/enrollmentGroups/group", "2026-11-01", body)
    return str(ask("POST", "/enrollmentGroups/group/attestationmechanism", ENROLLMENT_API)["symmetricKey"]["primaryKey"])


def test_policies_of_devices_and_keys_of_profiles(plant: Plant) -> None:
    name = f"sensor-{uuid.uuid4().hex[:8]}"
    made = plant.hub_rest("PUT", f"/devices/{name}", {"deviceId": name})
    assert made.ok, made.text
    device = f"{plant.namespace}/registryDevices/{name}"
    keys = plant.arm.post(f"{device}/authenticationProfiles/default/listKeys", NEWEST)["symmetricKey"]
    assert keys == made.json()["authentication"]["symmetricKey"]
    refused = plant.arm.refused("POST", f"{device}/authenticationProfiles/default/revokeCertificates", NEWEST)
    assert (refused.status, refused.code) == (400, "InvalidAuthenticationType")
    off = plant.arm.call("PATCH", device, NEWEST, {"properties": {"enablementState": "Disabled"}})
    assert off["properties"]["enablementState"] == "Disabled"
    assert plant.hub_rest("GET", f"/devices/{name}").json()["status"] == "disabled"
    plant.hub_rest("DELETE", f"/devices/{name}", if_match="*")
    assert plant.arm.refused("GET", device, NEWEST).status == 404


def test_a_link_outlives_the_crash_whole_or_not_at_all(own_server: Callable[..., Server]) -> None:
    server, moments = own_server(), random.Random(SEED)
    site = Site(server, "crash")
    linked, bare = site.body(), {"properties": {"messaging": {"endpoints": {"hub-1": None}}, "provisioning": {"endpoints": {"dps-1": None}}}}

    def flip() -> None:
        try:
            while True:
                site.arm.send("PUT", site.namespace, NEWEST, linked)
                site.arm.send("PATCH", site.namespace, NEWEST, bare)
        except requests.RequestException:
            pass

    for turn in range(TURNS):
        flipping = threading.Thread(target=flip)
        flipping.start()
        time.sleep(moments.uniform(0.05, 0.4))
        server.kill()
        flipping.join()
        server.start()
        site.arm = Arm(server)
        namespace = site.arm.get(site.namespace, NEWEST)["properties"]
        hub = site.arm.get(site.hub, versions.HUB)["properties"].get("deviceRegistry")
        dps = site.arm.get(site.dps, "2026-11-01")["properties"]["deviceRegistryNamespaces"]
        if "messaging" in namespace:
            assert namespace["messaging"]["endpoints"]["hub-1"]["linkingState"] == "Succeeded", f"turn {turn}: {namespace}"
            assert namespace["provisioning"]["endpoints"]["dps-1"]["linkingState"] == "Succeeded", f"turn {turn}: {namespace}"
            assert hub and dps, f"turn {turn}: {hub} {dps}"
        else:
            assert "provisioning" not in namespace and not hub and not dps, f"turn {turn}: {namespace} {hub} {dps}"
    site.arm.put(site.namespace, NEWEST, linked)
