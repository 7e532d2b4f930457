"""azure-iot-hub 2.7.0, unpatched: registry, modules, lists, bulk, statistics, queries. It dials port 443 of the hub's name; the fixture `registry`
stands for a hosts file and a port forward."""

from __future__ import annotations

from typing import Any

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice, QuerySpecification, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

from lib.names import lead_here
from lib.plant import Plant


@pytest.fixture
def registry(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> IoTHubRegistryManager:
    lead_here(monkeypatch, plant.server)
    policy = f"SharedAccessKeyName=iothubowner;SharedAccessKey={plant.hub_key}"
    return IoTHubRegistryManager.from_connection_string(f"HostName={plant.hub_host};{policy}")


def asked(registry: IoTHubRegistryManager, text: str, count: int | None = None) -> list[Any]:
    """All results of a query, page by page."""
    found: list[Any] = []
    token = None
    while True:
        page = registry.query_iot_hub(QuerySpecification(query=text), token, count)
        found += page.items
        token = page.continuation_token
        if not token:
            return found


def test_devices_in_bulk_and_in_queries(registry: IoTHubRegistryManager) -> None:
    ids = [f"hub-sdk-{number}" for number in range(5)]
    made = registry.bulk_create_or_update_devices([ExportImportDevice(id=one, import_mode="create") for one in ids])
    assert made.is_successful and not made.errors
    again = registry.bulk_create_or_update_devices([ExportImportDevice(id=ids[0], import_mode="create"), ExportImportDevice(id="hub-sdk-9", import_mode="create")])
    assert not again.is_successful and [(one.device_id, one.error_code) for one in again.errors] == [(ids[0], "DeviceAlreadyExists")]
    for number, one in enumerate(ids):
        registry.update_twin(one, Twin(tags={"hubSdk": number}, properties=TwinProperties(desired={"x": number})), "*")
    twins = asked(registry, "SELECT * FROM devices WHERE tags.hubSdk > 1", 2)
    assert [(twin.device_id, twin.tags["hubSdk"]) for twin in twins] == [(one, number) for number, one in enumerate(ids)][2:]
    with pytest.raises(HttpOperationError) as refused:
        asked(registry, "SELECT * FROM devices WHERE tags.x LIKE 'a'")
    assert "position 36" in refused.value.response.text
    listed = {device.device_id for device in registry.get_devices(1000)}
    assert listed >= {*ids, "hub-sdk-9"}
    counts = registry.get_device_registry_statistics()
    assert counts.total_device_count >= 6 and counts.total_device_count == counts.enabled_device_count + counts.disabled_device_count
    assert registry.get_service_statistics().connected_device_count >= 0
    for one in [*ids, "hub-sdk-9"]:
        registry.delete_device(one)


def test_modules(registry: IoTHubRegistryManager) -> None:
    device, module = "hub-sdk-modules", "m1"
    registry.create_device_with_sas(device, "", "", "enabled")
    made = registry.create_module_with_sas(device, module, "me", "", "")
    assert (made.device_id, made.module_id, made.managed_by) == (device, module, "me")
    assert [one.module_id for one in registry.get_modules(device)] == [module]
    changed = registry.update_module_with_sas(device, module, "you", made.etag, made.authentication.symmetric_key.primary_key, made.authentication.symmetric_key.secondary_key)
    assert changed.managed_by == "you"
    twin = registry.update_module_twin(device, module, Twin(properties=TwinProperties(desired={"speed": 3})), "*")
    assert twin.module_id == module and twin.properties.desired["speed"] == 3
    assert registry.get_module_twin(device, module).properties.desired["speed"] == 3
    registry.delete_module(device, module)
    with pytest.raises(HttpOperationError) as gone:
        registry.get_module(device, module)
    assert gone.value.response.status_code == 404
    registry.delete_device(device)
