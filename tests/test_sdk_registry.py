"""azure-mgmt-deviceregistry, unpatched: every operation on assets, endpoint profiles, what was discovered, devices, schemas,
billing containers and namespaces; what it reads it can put back, with every api-version that it knows."""

from __future__ import annotations

from typing import Any, Iterator

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.deviceregistry import DeviceRegistryMgmtClient
from azure.mgmt.deviceregistry import models as adr

from lib.arm import Arm
from lib.plant import LOCATION
from lib.server import Server

GROUP, NAMESPACE = "registry-rg", "registry-ns"
VERSIONS = ("2025-10-01", "2025-11-01-preview", "2026-03-01-preview")
PLACE = adr.ExtendedLocation(type="CustomLocation", name="/subscriptions/s/resourceGroups/g/providers/Microsoft.ExtendedLocation/customLocations/site7")
ROOM = {"location": LOCATION, "extended_location": PLACE, "tags": {"site": "7"}}
MQTT = adr.DatasetMqttDestination(configuration=adr.MqttDestinationConfiguration(topic="p1/main", qos="Qos1", retain="Never", ttl=60))
EVENT = adr.EventMqttDestination(configuration=adr.MqttDestinationConfiguration(topic="p1/events"))
STREAM = adr.StreamStorageDestination(configuration=adr.StorageDestinationConfiguration(path="p1"))
AEP = adr.AssetEndpointProfile(
    **ROOM,
    properties=adr.AssetEndpointProfileProperties(
        target_address="opc.tcp://10.0.0.5:4840", endpoint_profile_type="Microsoft.OpcUa",
        authentication=adr.Authentication(
            method="UsernamePassword",
            username_password_credentials=adr.UsernamePasswordCredentials(username_secret_name="u", password_secret_name="p"),
        ),
    ),
)
ASSET = adr.Asset(
    **ROOM,
    properties=adr.AssetProperties(
        asset_endpoint_profile_ref="aep1", enabled=True, external_asset_id="A-1", attributes={"floor": 2, "deep": {"er": [1, None]}},
        datasets=[adr.Dataset(name="d", data_points=[adr.DataPoint(name="t", data_source="ns=2;s=T", observability_mode="Gauge")])],
        events=[adr.Event(name="e", event_notifier="ns=2;i=1", observability_mode="Log")], default_topic=adr.Topic(path="t", retain="Keep"),
    ),
)
NAMESPACE_ASSET = adr.NamespaceAsset(
    **ROOM,
    properties=adr.NamespaceAssetProperties(
        device_ref=adr.DeviceRef(device_name="pump-0042", endpoint_name="opc"), display_name="Press 1",
        default_datasets_destinations=[MQTT], default_events_destinations=[EVENT], default_streams_destinations=[STREAM],
        datasets=[adr.NamespaceDataset(name="main", destinations=[MQTT], data_points=[adr.NamespaceDatasetDataPoint(name="t", data_source="s")])],
        event_groups=[adr.NamespaceEventGroup(name="alarms", events=[adr.NamespaceEvent(name="hot", data_source="ns=2;i=9", destinations=[EVENT])])],
        streams=[adr.NamespaceStream(name="hd", destinations=[STREAM])],
        management_groups=[adr.ManagementGroup(name="motor", actions=[adr.ManagementAction(name="stop", target_uri="ns=2;s=Stop", action_type="Call")])],
    ),
)
DISCOVERED_ASSET = adr.NamespaceDiscoveredAsset(
    **ROOM,
    properties=adr.NamespaceDiscoveredAssetProperties(
        discovery_id="d-78", version=1, device_ref=adr.DeviceRef(device_name="cam-9", endpoint_name="onvif"),
        datasets=[adr.NamespaceDiscoveredDataset(name="d", last_updated_on="2026-04-02T07:59:00Z")],
        streams=[adr.NamespaceDiscoveredStream(name="hd", stream_configuration='{"res":"1080p"}', last_updated_on="2026-04-02T07:59:00Z")],
    ),
)
DISCOVERED_DEVICE = adr.NamespaceDiscoveredDevice(
    **ROOM,
    properties=adr.NamespaceDiscoveredDeviceProperties(
        discovery_id="d-77", version=1, manufacturer="Northwind",
        endpoints=adr.DiscoveredMessagingEndpoints(
            inbound={"onvif": adr.DiscoveredInboundEndpoints(endpoint_type="Microsoft.Onvif", address="http://10.0.0.9", supported_authentication_methods=["Anonymous"])},
        ),
    ),
)
DEVICE = adr.NamespaceDevice(
    **ROOM,
    properties=adr.NamespaceDeviceProperties(
        enabled=True, external_device_id="pump:0042", manufacturer="Fabrikam", model="P9", operating_system="Zephyr", operating_system_version="3.7",
        attributes={"line": "B", "floor": 2},
        endpoints=adr.MessagingEndpoints(
            inbound={"opc": adr.InboundEndpoints(
                endpoint_type="Microsoft.OpcUa", address="opc.tcp://10.0.0.5:4840", version="1.04", trust_settings=adr.TrustSettings(trust_list="tl"),
                authentication=adr.HostAuthentication(method="Certificate", x509_credentials=adr.X509CertificateCredentials(certificate_secret_name="c", key_secret_name="k")),
            )},
            outbound=adr.OutboundEndpoints(assigned={"hub-a": adr.DeviceMessagingEndpoint(endpoint_type="Microsoft.Devices/IotHubs", address="hub-a")}),
        ),
    ),
)


@pytest.fixture(scope="module", name="clients")
def _clients(server: Server, arm: Arm) -> Iterator[dict[str, DeviceRegistryMgmtClient]]:
    """One client for each api-version, and a namespace for them."""
    owner, url = server.owner, server.url
    credential = ClientSecretCredential(
        owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=url, disable_instance_discovery=True, connection_verify=server.ca
    )
    made = {
        version: DeviceRegistryMgmtClient(
            credential, owner["subscriptionId"], base_url=url, credential_scopes=[f"{url}/.default"], connection_verify=server.ca, api_version=version
        )
        for version in VERSIONS
    }
    arm.put(f"{arm.subscription}/resourceGroups/{GROUP}", "2024-11-01", {"location": LOCATION})
    made[VERSIONS[-1]].namespaces.begin_create_or_replace(GROUP, NAMESPACE, adr.Namespace(location=LOCATION)).result()
    yield made
    made[VERSIONS[-1]].namespaces.begin_delete(GROUP, NAMESPACE).result()
    # A namespace takes with it what lies in it.
    with pytest.raises(ResourceNotFoundError):
        made[VERSIONS[-1]].namespace_devices.get(GROUP, NAMESPACE, "pump-0042")


@pytest.fixture(scope="module", name="registry")
def _registry(clients: dict[str, DeviceRegistryMgmtClient]) -> DeviceRegistryMgmtClient:
    return clients[VERSIONS[-1]]


#: Group of operations, what stands before the name, the name, what is made, what is patched.
KINDS: list[tuple[str, tuple[str, ...], str, Any, dict[str, Any]]] = [
    ("asset_endpoint_profiles", (GROUP,), "aep1", AEP, {"targetAddress": "opc.tcp://10.0.0.6:4840"}),
    ("assets", (GROUP,), "press-1", ASSET, {"displayName": "Press"}),
    ("namespace_assets", (GROUP, NAMESPACE), "press-1", NAMESPACE_ASSET, {"displayName": "Press"}),
    ("namespace_discovered_assets", (GROUP, NAMESPACE), "cam-9-a", DISCOVERED_ASSET, {"version": 2}),
    ("namespace_discovered_devices", (GROUP, NAMESPACE), "cam-9", DISCOVERED_DEVICE, {"version": 2}),
    ("namespace_devices", (GROUP, NAMESPACE), "Pump-0042", DEVICE, {"operatingSystemVersion": "3.8"}),
]


@pytest.mark.parametrize("kind", KINDS, ids=[kind[0] for kind in KINDS])
def test_every_operation_of_a_document(clients: dict[str, DeviceRegistryMgmtClient], kind: Any) -> None:
    group, above, name, wanted, patch = kind
    operations = getattr(clients[VERSIONS[-1]], group)
    made = operations.begin_create_or_replace(*above, name, wanted).result()
    assert made.properties.provisioning_state == "Succeeded" and made.tags == {"site": "7"}
    assert made.extended_location == PLACE
    sent, shown = wanted.properties.as_dict(), made.properties.as_dict()
    assert {member: shown.get(member) for member in sent} == sent
    for version, client in clients.items():
        operations = getattr(client, group)
        read = operations.get(*above, name)
        again = operations.begin_create_or_replace(*above, name, read).result()
        kept, before = again.properties.as_dict(), read.properties.as_dict()
        for moving in ("version", "lastTransitionTime"):
            kept.pop(moving, None), before.pop(moving, None)
        assert (kept, again.tags, again.extended_location) == (before, read.tags, read.extended_location), version
        assert name in [one.name for one in operations.list_by_resource_group(*above)], version
    changed = operations.begin_update(*above, name, {"tags": {"b": "2"}, "properties": patch}).result()
    assert changed.tags == {"b": "2"} and {member: changed.properties.as_dict()[member] for member in patch} == patch
    if hasattr(operations, "list_by_subscription"):
        assert made.id in [one.id for one in operations.list_by_subscription()]
    elsewhere = wanted.as_dict() | {"extendedLocation": {"type": "CustomLocation", "name": "/elsewhere"}}
    with pytest.raises(HttpResponseError) as refused:
        operations.begin_create_or_replace(*above, name, elsewhere).result()
    assert refused.value.status_code == 409 and refused.value.error.target == "extendedLocation"
    with pytest.raises(HttpResponseError) as refused:
        operations.begin_create_or_replace(*above, name, wanted.as_dict() | {"properties": {"zz": 1}}).result()
    assert refused.value.status_code == 400 and refused.value.error.target == "properties.zz", refused.value
    operations.begin_delete(*above, name).result()
    operations.begin_delete(*above, name).result()
    with pytest.raises(ResourceNotFoundError):
        operations.get(*above, name)
    operations.begin_create_or_replace(*above, name, wanted).result()


def test_schemas(registry: DeviceRegistryMgmtClient) -> None:
    registries, schemas, versions = registry.schema_registries, registry.schemas, registry.schema_versions
    wanted = adr.SchemaRegistry(
        location=LOCATION, identity=adr.SystemAssignedServiceIdentity(type="SystemAssigned"),
        properties=adr.SchemaRegistryProperties(namespace="sdk-schemas", storage_account_container_url="https://st7.blob.core.windows.net/schemas"),
    )
    made = registries.begin_create_or_replace(GROUP, "reg1", wanted).result()
    assert made.properties.uuid and made.identity.principal_id
    again = registries.begin_create_or_replace(GROUP, "reg1", registries.get(GROUP, "reg1")).result()
    assert (again.properties, again.identity) == (made.properties, made.identity)
    update = adr.SchemaRegistryUpdate(properties=adr.SchemaRegistryUpdateProperties(display_name="Reg"), tags={"a": "1"})
    changed = registries.begin_update(GROUP, "reg1", update).result()
    assert (changed.properties.display_name, changed.tags) == ("Reg", {"a": "1"})
    assert "reg1" in [one.name for one in registries.list_by_resource_group(GROUP)]
    assert "reg1" in [one.name for one in registries.list_by_subscription()]
    with pytest.raises(ResourceExistsError) as taken:
        registries.begin_create_or_replace(GROUP, "reg2", wanted).result()
    assert taken.value.error.target == "properties.namespace"

    wanted_schema = adr.Schema(properties=adr.SchemaProperties(format="JsonSchema/draft-07", schema_type="MessageSchema", tags={"a": "b"}))
    schema = schemas.create_or_replace(GROUP, "reg1", "telemetry", wanted_schema)
    assert schema.properties.uuid and schema.properties.tags == {"a": "b"}
    assert schemas.create_or_replace(GROUP, "reg1", "telemetry", schemas.get(GROUP, "reg1", "telemetry")).properties == schema.properties
    assert [one.name for one in schemas.list_by_schema_registry(GROUP, "reg1")] == ["telemetry"]

    content = adr.SchemaVersion(properties=adr.SchemaVersionProperties(schema_content='{"type":"object"}', description="first"))
    version = versions.create_or_replace(GROUP, "reg1", "telemetry", "1", content)
    # printf '{"type":"object"}' | sha256sum
    assert version.properties.hash == "a2c799262a3ce3c19ef5cdd983bf3d12b43ab3c426227091b909dcb7054738c0"
    kept = versions.create_or_replace(GROUP, "reg1", "telemetry", "1", versions.get(GROUP, "reg1", "telemetry", "1"))
    assert kept.properties == version.properties
    assert [one.name for one in versions.list_by_schema(GROUP, "reg1", "telemetry")] == ["1"]
    with pytest.raises(HttpResponseError) as refused:
        versions.create_or_replace(GROUP, "reg1", "telemetry", "1", {"properties": {"schemaContent": '{"type":"array"}'}})
    assert refused.value.error.code == "PropertyChangeNotAllowed"
    with pytest.raises(HttpResponseError) as refused:
        versions.create_or_replace(GROUP, "reg1", "telemetry", "2", {"properties": {"schemaContent": '{"type":"text"}'}})
    assert refused.value.error.target == "properties.schemaContent" and "#/type" in refused.value.error.message
    versions.begin_delete(GROUP, "reg1", "telemetry", "1").result()
    schemas.begin_delete(GROUP, "reg1", "telemetry").result()
    registries.begin_delete(GROUP, "reg1").result()
    with pytest.raises(ResourceNotFoundError):
        registries.get(GROUP, "reg1")


def test_billing_containers_operations_and_statuses(registry: DeviceRegistryMgmtClient) -> None:
    (one,) = registry.billing_containers.list_by_subscription()
    assert registry.billing_containers.get(one.name) == one
    assert one.properties.provisioning_state == "Succeeded" and one.etag
    with pytest.raises(ResourceNotFoundError):
        registry.billing_containers.get("another")
    names = {one.name: one for one in registry.operations.list()}
    assert names["Microsoft.DeviceRegistry/namespaces/assets/write"].display.operation == "write"
    with pytest.raises(ResourceNotFoundError):
        registry.operation_status.get(LOCATION, "00000000-0000-0000-0000-000000000000")


def test_assets_migrate(registry: DeviceRegistryMgmtClient, arm: Arm) -> None:
    """The poller of this version drops the result; it is read beside it."""
    registry.asset_endpoint_profiles.begin_create_or_replace(GROUP, "aep-m", AEP).result()
    wanted = adr.Asset(ASSET.as_dict())
    wanted.properties.asset_endpoint_profile_ref = "aep-m"
    one = registry.assets.begin_create_or_replace(GROUP, "press-m", wanted).result()
    registry.namespaces.begin_migrate(GROUP, NAMESPACE, adr.NamespaceMigrateRequest(scope="Resources", resource_ids=[one.id])).result()
    moved = registry.namespace_assets.get(GROUP, NAMESPACE, "press-m")
    assert moved.properties.uuid == one.properties.uuid and moved.properties.device_ref.device_name == "aep-m"
    registry.namespace_assets.begin_create_or_replace(GROUP, NAMESPACE, "press-m", moved).result()
    answer = arm.send("POST", f"{moved.id.rsplit('/', 2)[0]}/migrate", VERSIONS[-1], {"resourceIds": [one.id]})
    (result,) = answer.json()["migrateResults"]
    assert (answer.status_code, result["result"], result["error"]["code"]) == (200, "Failed", "ResourceNotFound"), answer.text


def test_namespaces_keep_their_endpoints(registry: DeviceRegistryMgmtClient) -> None:
    broker = adr.MessagingEndpoint(endpoint_type="Microsoft.EventGrid", address="grid.example", resource_id="/grid")
    update = adr.NamespaceUpdate(properties=adr.NamespaceUpdateProperties(messaging=adr.Messaging(endpoints={"grid": broker})))
    patched = registry.namespaces.begin_update(GROUP, NAMESPACE, update).result()
    assert patched.properties.messaging.endpoints["grid"] == broker
    again = registry.namespaces.begin_create_or_replace(GROUP, NAMESPACE, registry.namespaces.get(GROUP, NAMESPACE)).result()
    assert again.properties.messaging == patched.properties.messaging
