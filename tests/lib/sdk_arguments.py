"""What the judge calls each operation with: names by the parameter's name, bodies by the operation."""

from __future__ import annotations

import base64
import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from azure.core import MatchConditions

from lib import arm as versions
from lib.keys import Chain, b64, csr, make_chain, new_key, pem, signed_by_own_root
from lib.plant import LOCATION, Plant
from lib.sdk import Operation

MADE = "judge-made"
EDGE = {"type": "CustomLocation", "name": "judge-site"}
REGISTRY = "Microsoft.DeviceRegistry"

# Refusals that are the right answer here, with their status and why.
NO_PRIVATE = "there are no private endpoints and links: the list is empty and none can be found"
EXPECTED: dict[str, tuple[tuple[int, ...], str]] = {
    "private_endpoint_connections.get": ((404,), NO_PRIVATE),
    "private_endpoint_connections.begin_update": ((404,), NO_PRIVATE),
    "private_endpoint_connections.begin_delete": ((204, 404), NO_PRIVATE),
    "private_link_resources.get": ((404,), NO_PRIVATE),
    "iot_dps_resource.get_private_link_resources": ((404,), NO_PRIVATE),
    "iot_dps_resource.get_private_endpoint_connection": ((404,), NO_PRIVATE),
    "iot_dps_resource.begin_create_or_update_private_endpoint_connection": ((404,), NO_PRIVATE),
    "iot_dps_resource.begin_delete_private_endpoint_connection": ((204, 404), NO_PRIVATE),
    "iot_dps_resource.get_operation_result": ((200, 404), "operations of provisioning services may end at once, and leave nothing to ask for"),
}

# Among those of one verb: what must come before the others.
FIRST = ("policies.begin_activate_bring_your_own_root",)
# Needs what other operations leave.
LAST = ("operation_status.get", "iot_dps_resource.get_operation_result")

ETAGS = ("etag", "if_match")


class NoArgument(Exception):
    """A parameter that the table does not know."""


@dataclass
class Arguments:
    """Arguments for the operations of one package."""

    plant: Plant
    folder: Path
    # Of the long operation that was started last.
    operation_id: str = ""
    authorities: dict[str, Chain] = field(default_factory=dict)

    def of(self, operation: Operation) -> dict[str, Any]:
        """A value for each required parameter.

        Raises `NoArgument`.
        """
        own = OVERRIDES.get(operation.name, {})
        # An etag last: finding another argument may change what it is of.
        order = sorted(operation.parameters, key=lambda one: one.name in ETAGS)
        return {one.name: self._value(operation, one, own) for one in order}

    def _value(self, operation: Operation, parameter: inspect.Parameter, own: dict[str, Callable[["Arguments"], Any]]) -> Any:
        if parameter.name in own:
            return own[parameter.name](self)
        if parameter.name in NAMES:
            return NAMES[parameter.name](self)
        if parameter.name in ETAGS:
            return self.etag(operation)
        body = BODIES.get(operation.name)
        if body is None:
            raise NoArgument(f"nothing is known for '{parameter.name}' of {operation.name} ({operation.verb} {operation.path})")
        return body(self)

    def etag(self, operation: Operation) -> str:
        """The etag of the certificate that the operation is about."""
        return str(self.plant.arm.get(self.certificate(operation), self._certificate_version(operation))["etag"])

    @staticmethod
    def _certificate_version(operation: Operation) -> str:
        return versions.DPS if operation.group == "dps_certificate" else versions.HUB

    def certificate(self, operation: Operation) -> str:
        kind = "provisioningServices" if operation.group == "dps_certificate" else "IotHubs"
        return f"{self.plant.group}/providers/Microsoft.Devices/{kind}/{self.made}/certificates/{MADE}"

    @property
    def made(self) -> str:
        """Name of what the operations make; unique among all hubs and services."""
        return f"{self.plant.prefix}-made"

    def authority(self) -> Chain:
        if "ca" not in self.authorities:
            self.authorities["ca"] = make_chain(self.folder, f"{self.plant.prefix} factory", None, ca=True)
        return self.authorities["ca"]

    def uploaded(self) -> str:
        return base64.b64encode(pem(self.authority().leaf)).decode()

    def proof(self, kind: str, group: str) -> dict[str, Any]:
        """A certificate of the uploaded CA over a fresh verification code."""
        path = f"{self.plant.group}/providers/Microsoft.Devices/{kind}/{self.made}/certificates/{MADE}"
        version = versions.DPS if group == "dps_certificate" else versions.HUB
        etag = self.plant.arm.get(path, version)["etag"]
        response = self.plant.arm.send("POST", f"{path}/generateVerificationCode", version, If_Match=etag)
        assert response.ok, response.text
        code = response.json()["properties"]["verificationCode"]
        leaf = make_chain(self.folder, code, self.authority()).leaf
        return {"certificate": base64.b64encode(pem(leaf)).decode()}

    def issuing_chain(self) -> dict[str, Any]:
        """The answer of a root of one's own to the request of the policy that the judge made."""
        path = f"{self.plant.group}/providers/{REGISTRY}/namespaces/{self.made}/credentials/default/policies/{MADE}"
        policy = self.plant.arm.get(path, versions.REGISTRY)
        own = policy["properties"]["certificate"]["certificateAuthorityConfiguration"]["bringYourOwnRoot"]
        return {"certificateChain": signed_by_own_root(own["certificateSigningRequest"], self.folder)}

    def revocable(self) -> str:
        """A device that has a certificate, and so something to revoke."""
        device = f"{self.plant.prefix}-revoked"
        assert self.plant.register(device, b64(csr(new_key("P-256"), device))).body["status"] == "assigned"
        return device

    def movable(self) -> dict[str, Any]:
        """What is migrated: an asset of its own."""
        asset = f"{self.plant.group}/providers/{REGISTRY}/assets/judge-moved"
        response = self.plant.arm.send("PUT", asset, versions.REGISTRY, BODIES["assets.begin_create_or_replace"](self))
        if response.ok:
            self.plant.arm.finish(response)
        return {"scope": "Resources", "resourceIds": [asset]}

    def billing_container(self) -> str:
        path = f"{self.plant.arm.subscription}/providers/{REGISTRY}/billingContainers"
        response = self.plant.arm.send("GET", path, versions.REGISTRY)
        return str(response.json()["value"][0]["name"]) if response.ok else "adr-billing"


Value = Callable[[Arguments], Any]


def _is(value: Any) -> Value:
    return lambda _: value


NAMES: dict[str, Value] = {
    "resource_group_name": lambda a: a.plant.group_name,
    "location": _is(LOCATION),
    "operation_id": lambda a: a.operation_id or "00000000-0000-0000-0000-000000000001",
    "asyncinfo": _is("true"),
    "match_condition": _is(MatchConditions.IfNotModified),
    "billing_container_name": lambda a: a.billing_container(),
    "key_name": _is("iothubowner"),
    "event_hub_endpoint_name": _is("events"),
    "job_id": _is("00000000-0000-0000-0000-000000000001"),
    "group_id": _is("iotHub"),
    "private_endpoint_connection_name": _is(MADE),
    **{name: _is(MADE) for name in (
        "asset_name", "asset_endpoint_profile_name", "discovered_asset_name", "discovered_device_name", "device_name",
        "policy_name", "schema_registry_name", "schema_name", "certificate_name", "name",
    )},
    "schema_version_name": _is("1"),
    **{name: (lambda a: a.made) for name in ("namespace_name", "resource_name", "iot_hub_name", "provisioning_service_name")},
}

OVERRIDES: dict[str, dict[str, Value]] = {
    "namespace_devices.begin_revoke": {
        "namespace_name": lambda a: a.plant.namespace.rsplit("/", 1)[1], "device_name": lambda a: a.revocable(),
    },
    "iot_dps_resource.list_keys_for_key_name": {"key_name": _is("provisioningserviceowner")},
}

TAGS: Value = _is({"tags": {"judged": "yes"}})
MESSAGE = {"body": "e30=", "appProperties": {}, "systemProperties": {}}
POINTS = [{"name": "temperature", "dataSource": "ns=2;s=T"}]


def _tracked(properties: dict[str, Any], **more: Any) -> Value:
    return _is({"location": LOCATION, "properties": properties, **more})


def _prepared(text: Value) -> Value:
    return lambda a: {"properties": {"certificate": text(a)}}


BODIES: dict[str, Value] = {
    "assets.begin_create_or_replace": _tracked(
        {"assetEndpointProfileRef": MADE, "enabled": True, "datasets": [{"name": "main", "dataPoints": POINTS}]}, extendedLocation=EDGE
    ),
    "asset_endpoint_profiles.begin_create_or_replace": _tracked(
        {"targetAddress": "opc.tcp://10.0.0.5:4840", "endpointProfileType": "Microsoft.OpcUa", "authentication": {"method": "Anonymous"}},
        extendedLocation=EDGE,
    ),
    "namespaces.begin_create_or_replace": _tracked({}, identity={"type": "SystemAssigned"}),
    "namespaces.begin_migrate": lambda a: a.movable(),
    "credentials.begin_create_or_update": _is({"location": LOCATION}),
    "policies.begin_create_or_update": _is({"properties": {"certificate": {
        "certificateAuthorityConfiguration": {"keyType": "ECC", "bringYourOwnRoot": {"enabled": True}},
        "leafCertificateConfiguration": {"validityPeriodInDays": 14},
    }}}),
    "policies.begin_update": _is({"properties": {"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 7}}}}),
    "policies.begin_activate_bring_your_own_root": lambda a: a.issuing_chain(),
    "namespace_devices.begin_create_or_replace": _tracked({
        "enabled": True, "manufacturer": "Fabrikam", "model": "P9", "attributes": {"line": "B"},
        "endpoints": {"inbound": {"opc": {
            "endpointType": "Microsoft.OpcUa", "address": "opc.tcp://10.0.0.5:4840", "authentication": {"method": "Anonymous"},
        }}},
    }),
    "namespace_devices.begin_update": _is({"properties": {"enabled": False}}),
    "namespace_devices.begin_revoke": _is({"disable": True}),
    "namespace_assets.begin_create_or_replace": _tracked(
        {"deviceRef": {"deviceName": MADE, "endpointName": "opc"}, "datasets": [{"name": "main", "dataPoints": POINTS}]},
        extendedLocation=EDGE,
    ),
    "namespace_discovered_assets.begin_create_or_replace": _tracked(
        {"discoveryId": "d-1", "version": 1, "deviceRef": {"deviceName": MADE, "endpointName": "opc"}}, extendedLocation=EDGE
    ),
    "namespace_discovered_devices.begin_create_or_replace": _tracked(
        {"discoveryId": "d-2", "version": 1, "manufacturer": "Northwind"}, extendedLocation=EDGE
    ),
    "schema_registries.begin_create_or_replace": lambda a: {
        "location": LOCATION, "identity": {"type": "SystemAssigned"},
        "properties": {"namespace": f"{a.plant.prefix}-schemas", "storageAccountContainerUrl": "https://st7.blob.core.windows.net/schemas"},
    },
    "schemas.create_or_replace": _is({"properties": {"format": "JsonSchema/draft-07", "schemaType": "MessageSchema"}}),
    "schema_versions.create_or_replace": _is({"properties": {"schemaContent": '{"type":"object"}'}}),
    "iot_hub_resource.begin_create_or_update": _is({"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "properties": {}}),
    "iot_hub_resource.test_all_routes": _is({"routingSource": "DeviceMessages", "message": MESSAGE}),
    "iot_hub_resource.test_route": _is({
        "message": MESSAGE,
        "route": {"name": "r", "source": "DeviceMessages", "condition": "true", "endpointNames": ["events"], "isEnabled": True},
    }),
    "iot_hub_resource.export_devices": _is({"exportBlobContainerUri": "https://st7.blob.core.windows.net/devices", "excludeKeys": True}),
    "iot_hub_resource.import_devices": _is({
        "inputBlobContainerUri": "https://st7.blob.core.windows.net/devices", "outputBlobContainerUri": "https://st7.blob.core.windows.net/devices",
    }),
    "iot_hub_resource.create_event_hub_consumer_group": _is({"properties": {"name": MADE}}),
    "iot_hub_resource.check_name_availability": _is({"name": "judge-free"}),
    "iot_hub.begin_manual_failover": _is({"failoverRegion": "norwayeast"}),
    "certificates.create_or_update": _prepared(lambda a: a.uploaded()),
    "certificates.verify": lambda a: a.proof("IotHubs", "certificates"),
    "private_endpoint_connections.begin_update": _is({"properties": {
        "privateLinkServiceConnectionState": {"status": "Approved", "description": "judged"},
    }}),
    "dps_certificate.create_or_update": _prepared(lambda a: a.uploaded()),
    "dps_certificate.verify_certificate": lambda a: a.proof("provisioningServices", "dps_certificate"),
    "iot_dps_resource.begin_create_or_update": _is({"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "properties": {}}),
    "iot_dps_resource.begin_create_or_update_private_endpoint_connection": _is({"properties": {
        "privateLinkServiceConnectionState": {"status": "Approved", "description": "judged"},
    }}),
    "iot_dps_resource.check_provisioning_service_name_availability": _is({"name": "judge-free"}),
    **{f"{group}.begin_update": TAGS for group in (
        "assets", "asset_endpoint_profiles", "namespaces", "credentials", "namespace_assets", "namespace_discovered_assets",
        "namespace_discovered_devices", "schema_registries", "iot_hub_resource", "iot_dps_resource",
    )},
}
