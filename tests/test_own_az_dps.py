"""`ferrohub az` about provisioning, certificate authorities and devices, against the server: each line does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib.keys import csr, new_key
from lib.plant import Plant


def az(plant: Plant, *words: str) -> Any:
    return plant.server.az(*words)


def dps(plant: Plant) -> list[str]:
    return ["--dps-name", plant.dps.rsplit("/", 1)[1], "-g", plant.group_name]


def test_policies(plant: Plant) -> None:
    made = az(plant, "iot", "dps", "policy", "create", *dps(plant), "--pn", "reader", "--rights", "EnrollmentRead", "RegistrationStatusRead")
    assert made["keyName"] == "reader" and made["rights"] == "EnrollmentRead, RegistrationStatusRead", made
    string = az(plant, "iot", "dps", "connection-string", "show", *dps(plant), "--pn", "reader")["connectionString"]
    assert made["primaryKey"] in string
    listed = az(plant, "iot", "dps", "enrollment-group", "list", "--login", string)
    assert "group" in [one["enrollmentGroupId"] for one in listed]
    assert plant.server.run("az", "iot", "dps", "enrollment-group", "delete", "--login", string, "--gid", "group").code == 1
    changed = az(plant, "iot", "dps", "policy", "update", *dps(plant), "--pn", "reader", "--primary-key", "")
    assert changed["primaryKey"] != made["primaryKey"] and changed["secondaryKey"] == made["secondaryKey"]
    assert "reader" not in [one["keyName"] for one in az(plant, "iot", "dps", "policy", "delete", *dps(plant), "--pn", "reader")]
    hub = ["--hub-name", plant.hub_name, "-g", plant.group_name]
    az(plant, "iot", "hub", "policy", "create", *hub, "-n", "reader", "--permissions", "RegistryRead")
    assert az(plant, "iot", "hub", "policy", "show", *hub, "-n", "reader")["rights"] == "RegistryRead"
    az(plant, "iot", "hub", "policy", "delete", *hub, "-n", "reader")
    assert plant.hub_rest("GET", "/devices/nobody").status_code == 404, "the owner's key still opens the hub"


def test_a_device_registers(plant: Plant, tmp_path: Path) -> None:
    device, key = "az-registers", new_key()
    by_group = az(plant, "iot", "device", "registration", "create", *dps(plant), "--rid", device, "--gid", "group")
    assert by_group["status"] == "assigned" and by_group["registrationState"]["assignedHub"] == plant.hub_host, by_group
    request = tmp_path / "device.csr"
    request.write_bytes(csr(key, device))
    issued = az(
        plant, "iot", "device", "registration", "create", "--id-scope", plant.id_scope, "--rid", device,
        "--key", plant.group_key, "--compute-key", "--csr", str(request),
    )
    assert len(issued["registrationState"]["issuedCertificateChain"]) == 3, issued
    shown = az(plant, "iot", "dps", "enrollment-group", "registration", "show", *dps(plant), "--rid", device)
    assert shown["deviceId"] == device
    assert device in [one["registrationId"] for one in az(plant, "iot", "dps", "registration", "list", *dps(plant), "--gid", "group")]
    refused = plant.server.run(
        "az", "iot", "device", "registration", "create", "--id-scope", plant.id_scope, "--rid", device, "--key", plant.group_key
    )
    assert refused.code == 1 and "MQTT return code 5" in refused.stderr, refused
    az(plant, "iot", "dps", "registration", "delete", *dps(plant), "--registration-id", device)


def test_certificate_authorities(plant: Plant) -> None:
    namespace = ["--ns", plant.namespace.rsplit("/", 1)[1], "-g", plant.group_name]
    root = next(one for one in az(plant, "iot", "adr", "ns", "ca", "list", *namespace) if one["properties"]["certificateAuthorityType"] == "Root")
    made = az(
        plant, "iot", "adr", "ns", "ca", "create", *namespace, "-n", "az-line", "--type", "ICA",
        "--issuer-type", "Microsoft", "--issuer-ca-name", root["name"], "--tags", "line=1",
    )
    assert made["properties"]["issuer"]["certificateAuthorityResourceId"].lower() == root["id"].lower(), made
    policy = az(plant, "iot", "adr", "ns", "ca", "policy", "create", *namespace, "--ca", "az-line", "-n", "az-short", "--vd", "7")
    assert policy["properties"]["certificate"]["validityPeriodInDays"] == 7, policy
    changed = az(plant, "iot", "adr", "ns", "ca", "policy", "update", *namespace, "--ca", "az-line", "-n", "az-short", "--vd", "9")
    assert changed["properties"]["certificate"]["validityPeriodInDays"] == 9, changed
    assert az(plant, "iot", "adr", "ns", "ca", "update", *namespace, "-n", "az-line", "--tags", "line=2")["tags"] == {"line": "2"}
    # The older grammar shows the same thing.
    assert az(plant, "iot", "adr", "ns", "policy", "show", *namespace, "-n", "az-line")["name"] == "az-line"
    az(plant, "iot", "adr", "ns", "ca", "policy", "delete", *namespace, "--ca", "az-line", "-n", "az-short", "-y")
    az(plant, "iot", "adr", "ns", "ca", "delete", *namespace, "-n", "az-line", "-y")
    az(plant, "iot", "adr", "ns", "ca", "wait", *namespace, "-n", "az-line", "--deleted")
