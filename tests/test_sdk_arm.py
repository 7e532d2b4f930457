"""The management SDKs, unpatched: create, get, list, update and delete of each type, and what they read they can put back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.models import Permission, RoleAssignmentCreateParameters, RoleDefinition
from azure.mgmt.deviceregistry import DeviceRegistryMgmtClient
from azure.mgmt.deviceregistry import models as adr
from azure.mgmt.iothub import IotHubClient
from azure.mgmt.iothub import models as hubs
from azure.mgmt.iothubprovisioningservices import IotDpsClient
from azure.mgmt.iothubprovisioningservices import models as dps
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient

from lib import arm as versions
from lib.keys import signed_by_own_root
from lib.plant import LOCATION, ROLE_ACTIONS, Plant
from lib.server import Server

GROUP = "sdk-rg"


@dataclass
class Clients:
    """One of each, with the arguments that clients.md section 6 names."""

    registry: DeviceRegistryMgmtClient
    hub: IotHubClient
    old_hub: IotHubClient
    dps: IotDpsClient
    old_dps: IotDpsClient
    identity: ManagedServiceIdentityClient
    authorization: AuthorizationManagementClient
    resources: ResourceManagementClient
    group: str


@pytest.fixture(scope="module")
def clients(server: Server) -> Iterator[Clients]:
    owner, url, ca = server.owner, server.url, server.ca
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=url, disable_instance_discovery=True, connection_verify=ca
    )

    def client(kind: type, **more: Any) -> Any:
        return kind(
            credential, owner["subscriptionId"], base_url=url, credential_scopes=[f"{url}/.default"], connection_verify=ca, **more
        )

    made = Clients(
        registry=client(DeviceRegistryMgmtClient), hub=client(IotHubClient), old_hub=client(IotHubClient, api_version="2023-06-30-preview"),
        dps=client(IotDpsClient), old_dps=client(IotDpsClient, api_version="2021-10-15"), identity=client(ManagedServiceIdentityClient),
        authorization=client(AuthorizationManagementClient), resources=client(ResourceManagementClient), group="",
    )
    made.group = made.resources.resource_groups.create_or_update(GROUP, {"location": LOCATION}).id
    yield made


def dps_get(client: IotDpsClient, group: str, name: str) -> dps.ProvisioningServiceDescription:
    """Reads a provisioning service by listing. 1.2.0b3 can neither get nor delete one nor list its keys: those operations
    format a URL with `{subscriptionId}` and have no subscription to put there (KeyError, before anything is sent)."""
    return next(one for one in client.iot_dps_resource.list_by_resource_group(group) if one.name == name)


def gone(read: Any, *arguments: Any) -> None:
    with pytest.raises(ResourceNotFoundError):
        read(*arguments)


def test_resource_groups(clients: Clients) -> None:
    groups = clients.resources.resource_groups
    made = groups.create_or_update("sdk-other-rg", {"location": "Sweden Central", "tags": {"a": "1"}})
    assert (made.name, made.location, made.tags) == ("sdk-other-rg", LOCATION, {"a": "1"})
    read = groups.get("SDK-other-RG")
    assert read.id.lower() == made.id.lower() and read.properties.provisioning_state == "Succeeded"
    assert groups.create_or_update("sdk-other-rg", read).tags == {"a": "1"}
    assert groups.update("sdk-other-rg", {"tags": {"b": "2"}}).tags == {"b": "2"}
    assert "sdk-other-rg" in [one.name for one in groups.list()]
    assert groups.check_existence("sdk-other-rg")
    groups.begin_delete("sdk-other-rg").result()
    assert not groups.check_existence("sdk-other-rg")
    gone(groups.get, "sdk-other-rg")


def test_role_definitions_and_assignments(clients: Clients) -> None:
    definitions, assignments = clients.authorization.role_definitions, clients.authorization.role_assignments
    name = str(uuid.uuid4())
    wanted = RoleDefinition(
        role_name="sdk-role", description="d", role_type="CustomRole", assignable_scopes=[clients.group],
        permissions=[Permission(actions=ROLE_ACTIONS, not_actions=[])],
    )
    made = definitions.create_or_update(clients.group, name, wanted)
    assert (made.role_name, made.role_type, made.name) == ("sdk-role", "CustomRole", name)
    read = definitions.get(clients.group, name)
    read.description = "changed"
    assert definitions.create_or_update(clients.group, name, read).description == "changed"
    assert definitions.get_by_id(made.id).permissions[0].actions == ROLE_ACTIONS
    assert [one.name for one in definitions.list(clients.group, filter="roleName eq 'sdk-role'")] == [name]
    built_in = next(iter(definitions.list(clients.group, filter="roleName eq 'Contributor'")))
    assert built_in.role_type == "BuiltInRole" and built_in.name == versions.CONTRIBUTOR
    with pytest.raises(HttpResponseError):
        definitions.delete(clients.group, built_in.name)

    principal = clients.identity.user_assigned_identities.create_or_update(GROUP, "sdk-assignee", {"location": LOCATION}).principal_id
    parameters = RoleAssignmentCreateParameters(role_definition_id=made.id, principal_id=principal, principal_type="ServicePrincipal")
    one = assignments.create(clients.group, str(uuid.uuid4()), parameters)
    assert (one.principal_id, one.role_definition_id.lower()) == (principal, made.id.lower())
    assert assignments.get(clients.group, one.name).id == one.id
    with pytest.raises(HttpResponseError) as taken:
        assignments.create(clients.group, str(uuid.uuid4()), parameters)
    assert taken.value.error.code == "RoleAssignmentExists"
    assert one.id in [each.id for each in assignments.list_for_scope(clients.group, filter="atScope()")]
    assert [each.id for each in assignments.list_for_subscription(filter=f"principalId eq '{principal}'")] == [one.id]
    with pytest.raises(HttpResponseError):
        definitions.delete(clients.group, name)
    assert assignments.delete(clients.group, one.name).id == one.id
    definitions.delete(clients.group, name)
    gone(definitions.get, clients.group, name)


def test_identities(clients: Clients) -> None:
    identities = clients.identity.user_assigned_identities
    made = identities.create_or_update(GROUP, "sdk-identity", {"location": LOCATION, "tags": {"a": "1"}})
    read = identities.get(GROUP, "sdk-identity")
    assert (read.principal_id, read.client_id) == (made.principal_id, made.client_id)
    assert identities.create_or_update(GROUP, "sdk-identity", read).principal_id == made.principal_id
    assert identities.update(GROUP, "sdk-identity", {"tags": {"b": "2"}}).tags == {"b": "2"}
    assert made.id in [one.id for one in identities.list_by_resource_group(GROUP)]
    assert made.id in [one.id for one in identities.list_by_subscription()]
    identities.delete(GROUP, "sdk-identity")
    gone(identities.get, GROUP, "sdk-identity")


def test_namespaces_credentials_and_policies(clients: Clients) -> None:
    registry, name = clients.registry, "sdk-ns"
    wanted = adr.Namespace(location=LOCATION, identity=adr.SystemAssignedServiceIdentity(type="SystemAssigned"), tags={"a": "1"})
    made = registry.namespaces.begin_create_or_replace(GROUP, name, wanted).result()
    assert made.properties.provisioning_state == "Succeeded" and made.properties.uuid and made.identity.principal_id
    gone(registry.credentials.get, GROUP, name)
    read = registry.namespaces.get(GROUP, name.upper())
    again = registry.namespaces.begin_create_or_replace(GROUP, name, read).result()
    assert (again.identity.principal_id, again.properties.uuid) == (made.identity.principal_id, made.properties.uuid)
    assert registry.namespaces.begin_update(GROUP, name, adr.NamespaceUpdate(tags={"b": "2"})).result().tags == {"b": "2"}
    assert name in [one.name for one in registry.namespaces.list_by_resource_group(GROUP)]
    assert name in [one.name for one in registry.namespaces.list_by_subscription()]

    credential = registry.credentials.begin_create_or_update(GROUP, name, adr.Credential(location=LOCATION)).result()
    assert credential.properties.provisioning_state == "Succeeded"
    registry.credentials.begin_create_or_update(GROUP, name, registry.credentials.get(GROUP, name)).result()
    registry.credentials.begin_update(GROUP, name, adr.CredentialUpdate(tags={"c": "3"})).result()
    assert registry.credentials.get(GROUP, name).tags == {"c": "3"}
    assert len(list(registry.credentials.list_by_resource_group(GROUP, name))) == 1

    policies = registry.policies
    policy = policies.begin_create_or_update(GROUP, name, "sdk-policy", adr.Policy({"location": LOCATION, "properties": {}})).result()
    certificate = policy.properties.certificate
    assert certificate.leaf_certificate_configuration.validity_period_in_days == 30
    assert certificate.certificate_authority_configuration.key_type == "ECC"
    kept = policies.begin_create_or_update(GROUP, name, "sdk-policy", policies.get(GROUP, name, "sdk-policy")).result()
    assert kept.properties.certificate == certificate
    change = {"properties": {"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 7}}}}
    assert (
        policies.begin_update(GROUP, name, "sdk-policy", change).result()
        .properties.certificate.leaf_certificate_configuration.validity_period_in_days == 7
    )
    assert [one.name for one in policies.list_by_resource_group(GROUP, name)] == ["sdk-policy"]
    registry.credentials.begin_synchronize(GROUP, name).result()
    policies.begin_revoke_issuer(GROUP, name, "sdk-policy").result()
    rotated = policies.get(GROUP, name, "sdk-policy").properties.certificate.certificate_authority_configuration
    assert rotated.subject == certificate.certificate_authority_configuration.subject
    assert rotated.validity_not_before >= certificate.certificate_authority_configuration.validity_not_before
    policies.begin_delete(GROUP, name, "sdk-policy").result()
    gone(policies.get, GROUP, name, "sdk-policy")
    registry.credentials.begin_delete(GROUP, name).result()
    gone(registry.credentials.get, GROUP, name)
    registry.namespaces.begin_delete(GROUP, name).result()
    gone(registry.namespaces.get, GROUP, name)


def test_devices(clients: Clients, plant: Plant) -> None:
    """A device that registered is a registry device too, and can be switched off there."""
    assert plant.register("sdk-mirrored").body["status"] == "assigned"
    devices, group, namespace = clients.registry.namespace_devices, plant.group_name, plant.namespace.rsplit("/", 1)[1]
    read = devices.get(group, namespace, "sdk-mirrored")
    assert read.properties.external_device_id == "sdk-mirrored" and read.properties.enabled is True
    again = devices.begin_create_or_replace(group, namespace, "sdk-mirrored", read).result()
    assert again.properties.uuid == read.properties.uuid
    assert "sdk-mirrored" in [one.name for one in devices.list_by_resource_group(group, namespace)]
    updated = devices.begin_update(group, namespace, "sdk-mirrored", {"tags": {"a": "1"}, "properties": {"enabled": False}}).result()
    assert updated.tags == {"a": "1"} and updated.properties.enabled is False
    assert plant.hub_rest("GET", "/devices/sdk-mirrored").json()["status"] == "disabled"
    assert plant.hub_rest("DELETE", "/devices/sdk-mirrored", If_Match="*").status_code == 204
    gone(devices.get, group, namespace, "sdk-mirrored")

    wanted = adr.NamespaceDevice({"location": LOCATION, "tags": {"a": "1"}, "properties": {"manufacturer": "m", "enabled": True}})
    made = devices.begin_create_or_replace(group, namespace, "sdk-own", wanted).result()
    assert (made.name, made.tags, made.properties.manufacturer) == ("sdk-own", {"a": "1"}, "m") and made.properties.uuid
    assert devices.get(group, namespace, "sdk-own").properties.uuid == made.properties.uuid
    devices.begin_delete(group, namespace, "sdk-own").result()
    gone(devices.get, group, namespace, "sdk-own")
    assert "sdk-own" not in [one.name for one in devices.list_by_resource_group(group, namespace)]


def test_hubs(clients: Clients) -> None:
    hub, name = clients.hub.iot_hub_resource, "sdk-hub"
    assert hub.check_name_availability({"name": name}).name_available
    wanted = hubs.IotHubDescription(location=LOCATION, sku=hubs.IotHubSkuInfo(name="S1", capacity=1), tags={"a": "1"})
    made = hub.begin_create_or_update(GROUP, name, wanted).result()
    assert made.properties.state == "Active" and made.properties.host_name == "sdk-hub.azure-devices.localhost"
    assert not hub.check_name_availability({"name": name.upper()}).name_available
    read = hub.get(GROUP, name)
    again = hub.begin_create_or_update(GROUP, name, read, if_match=read.etag).result()
    assert again.etag != read.etag
    with pytest.raises(HttpResponseError) as stale:
        hub.begin_create_or_update(GROUP, name, read, if_match=read.etag).result()
    assert stale.value.status_code == 412
    assert hub.begin_update(GROUP, name, hubs.TagsResource(tags={"b": "2"})).result().tags == {"b": "2"}
    assert name in [one.name for one in hub.list_by_resource_group(GROUP)]
    assert name in [one.name for one in hub.list_by_subscription()]
    keys = {key.key_name: key for key in hub.list_keys(GROUP, name)}
    assert hub.get_keys_for_key_name(GROUP, name, "iothubowner").primary_key == keys["iothubowner"].primary_key
    assert clients.hub.certificates.list_by_iot_hub(GROUP, name).value == []
    hub.begin_delete(GROUP, name).result()
    gone(hub.get, GROUP, name)


def test_provisioning_services(clients: Clients, plant: Plant) -> None:
    service, name = clients.dps.iot_dps_resource, "sdk-dps"
    assert service.check_provisioning_service_name_availability({"name": name}).name_available
    sku = dps.IotDpsSkuInfo(name="S1", capacity=1)
    wanted = dps.ProvisioningServiceDescription(location=LOCATION, sku=sku, properties=dps.IotDpsPropertiesDescription())
    made = service.begin_create_or_update(GROUP, name, wanted).result()
    assert made.properties.state == "Active" and made.properties.id_scope.startswith("0ne") and made.properties.iot_hubs == []
    text = f"HostName={plant.hub_host};SharedAccessKeyName=iothubowner;SharedAccessKey={plant.hub_key}"
    made.properties.iot_hubs = [dps.IotHubDefinitionDescription(connection_string=text, location=LOCATION)]
    linked = service.begin_create_or_update(GROUP, name, made).result()
    masked = linked.properties.iot_hubs[0]
    assert masked.name == plant.hub_host and plant.hub_key not in masked.connection_string and "****" in masked.connection_string
    again = service.begin_create_or_update(GROUP, name, dps_get(clients.dps, GROUP, name)).result()
    assert again.properties.id_scope == made.properties.id_scope and again.properties.iot_hubs == linked.properties.iot_hubs
    assert service.begin_update(GROUP, name, dps.TagsResource(tags={"b": "2"})).result().tags == {"b": "2"}
    assert name in [one.name for one in service.list_by_resource_group(GROUP)]
    assert name in [one.name for one in service.list_by_subscription()]
    again.properties.iot_hubs = []
    assert service.begin_create_or_update(GROUP, name, again).result().properties.iot_hubs == []
    generic = clients.resources.resources
    assert generic.get_by_id(made.id, api_version=versions.DPS).properties["idScope"] == made.properties.id_scope
    generic.begin_delete_by_id(made.id, api_version=versions.DPS).result()
    gone(lambda: generic.get_by_id(made.id, api_version=versions.DPS))
    assert name not in [one.name for one in service.list_by_resource_group(GROUP)]


def test_what_the_provisioning_sdk_cannot_send(clients: Clients) -> None:
    """Why other tests read, delete and list keys otherwise: a later SDK that can fails here, and they can be shortened."""
    service = clients.dps.iot_dps_resource
    for send in (service.get, service.list_keys):
        with pytest.raises(KeyError, match="subscriptionId"):
            list(send(resource_group_name=GROUP, provisioning_service_name="sdk-dps") or [])
    with pytest.raises(KeyError, match="subscriptionId"):
        service.begin_delete(resource_group_name=GROUP, provisioning_service_name="sdk-dps")


def test_a_linked_hub_and_service_keep_their_link(clients: Clients, plant: Plant) -> None:
    """Get then put, through the version that knows the link and through those that do not."""
    name, service = plant.hub_name, plant.dps.rsplit("/", 1)[1]
    first = clients.hub.iot_hub_resource.get(plant.group_name, name)
    link = first.properties.device_registry
    assert link.namespace_resource_id.lower() == plant.namespace.lower() and link.identity_resource_id.lower() == plant.identity.lower()
    for client in (clients.hub, clients.old_hub):
        read = client.iot_hub_resource.get(plant.group_name, name)
        client.iot_hub_resource.begin_create_or_update(plant.group_name, name, read).result()
        kept = clients.hub.iot_hub_resource.get(plant.group_name, name)
        assert kept.properties.device_registry == link and kept.identity == first.identity
    before = dps_get(clients.dps, plant.group_name, service)
    namespace = before.properties.device_registry_namespace
    assert namespace.resource_id.lower() == plant.namespace.lower()
    for client in (clients.dps, clients.old_dps):
        read = dps_get(client, plant.group_name, service)
        client.iot_dps_resource.begin_create_or_update(plant.group_name, service, read).result()
        kept = dps_get(clients.dps, plant.group_name, service)
        assert kept.properties.device_registry_namespace == namespace and kept.identity == before.identity
    assert plant.register("after-put-back").body["status"] == "assigned", "the linked hub's key was lost"
    entries = clients.hub.certificates.list_by_iot_hub(plant.group_name, name).value
    assert plant.policy.lower() in [(entry.properties.policy_resource_id or "").lower() for entry in entries]


def test_hub_certificates(clients: Clients, plant: Plant) -> None:
    """A certificate that a person uploads, beside the synchronized ones."""
    entry = next(one for one in plant.hub_certificates() if one["properties"].get("policyResourceId"))
    certificates, name = clients.hub.certificates, plant.hub_name
    read = certificates.get(plant.group_name, name, entry["name"])
    assert read.properties.is_verified and read.properties.subject and read.properties.thumbprint and read.properties.expiry
    body = hubs.CertificateDescription(properties=hubs.CertificateProperties(certificate=read.properties.certificate, is_verified=False))
    made = certificates.create_or_update(plant.group_name, name, "sdk-own", body)
    assert made.properties.thumbprint == read.properties.thumbprint
    assert "sdk-own" in [one.name for one in certificates.list_by_iot_hub(plant.group_name, name).value]
    # What was read can be put back, a synchronized one too, which keeps its policy.
    for one in (read, certificates.get(plant.group_name, name, "sdk-own")):
        again = certificates.create_or_update(plant.group_name, name, one.name, one, if_match=one.etag)
        assert again.properties.thumbprint == one.properties.thumbprint
        assert again.properties.policy_resource_id == one.properties.policy_resource_id
    with pytest.raises(HttpResponseError) as stale:
        certificates.create_or_update(plant.group_name, name, "sdk-own", body, if_match="stale")
    assert stale.value.status_code == 412
    certificates.delete(plant.group_name, name, "sdk-own", if_match=again.etag)
    gone(certificates.get, plant.group_name, name, "sdk-own")


def test_a_policy_under_a_root_of_ones_own(clients: Clients, tmp_path: Path) -> None:
    registry, name = clients.registry, "sdk-byor"
    identity = adr.SystemAssignedServiceIdentity(type="SystemAssigned")
    registry.namespaces.begin_create_or_replace(GROUP, name, adr.Namespace(location=LOCATION, identity=identity)).result()
    registry.credentials.begin_create_or_update(GROUP, name, adr.Credential(location=LOCATION)).result()
    wanted = {"properties": {"certificate": {
        "certificateAuthorityConfiguration": {"keyType": "ECC", "bringYourOwnRoot": {"enabled": True}},
        "leafCertificateConfiguration": {"validityPeriodInDays": 14},
    }}}
    policies = registry.policies

    def own_root() -> adr.BringYourOwnRoot:
        return policies.get(GROUP, name, "byor").properties.certificate.certificate_authority_configuration.bring_your_own_root

    policies.begin_create_or_update(GROUP, name, "byor", adr.Policy(wanted)).result()
    assert own_root().status == "PendingActivation"
    chain = signed_by_own_root(own_root().certificate_signing_request, tmp_path)
    activation = adr.ActivateBringYourOwnRootRequest(certificate_chain=chain)
    policies.begin_activate_bring_your_own_root(GROUP, name, "byor", activation).result()
    assert own_root().status == "Active" and own_root().issuing_certificate_thumbprint
    assert own_root().certificate_signing_request is None
    policies.begin_revoke_issuer(GROUP, name, "byor").result()
    assert own_root().status == "PendingActivation"
    # The former request's key is gone, so its chain is refused.
    with pytest.raises(HttpResponseError) as refused:
        policies.begin_activate_bring_your_own_root(GROUP, name, "byor", activation).result()
    assert (refused.value.status_code, refused.value.error.code) == (400, "CertificateKeyMismatch")
    policies.begin_delete(GROUP, name, "byor").result()
    registry.namespaces.begin_delete(GROUP, name).result()
