"""Wrong input at the control plane: tokens, ids, JSON, versions, names."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, Callable

import pytest
import requests

from lib import arm as versions
from lib.arm import Arm, token
from lib.keys import sas
from lib.plant import ENROLLMENT_API, LOCATION, Plant, add_dps, shared_key
from lib.server import Server
from lib.shim import compile_shim


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def parts(bearer: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Header, claims and signature of a token."""
    header, claims, signature = bearer.split(".")
    return (*(json.loads(base64.urlsafe_b64decode(one + "==")) for one in (header, claims)), signature)  # type: ignore[return-value]


def joined(header: dict[str, Any], claims: dict[str, Any], signature: str) -> str:
    return ".".join([unpadded(json.dumps(header).encode()), unpadded(json.dumps(claims).encode()), signature])


def with_token(server: Server, bearer: str | None, path: str | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer is not None else {}
    path = path or f"/subscriptions/{server.owner['subscriptionId']}/resourcegroups?api-version={versions.GROUP}"
    return requests.get(server.url + path, headers=headers, verify=server.ca, timeout=30)


def test_tokens(server: Server, arm: Arm) -> None:
    header, claims, signature = parts(arm.bearer)
    assert with_token(server, arm.bearer).status_code == 200
    owner = server.owner
    graph = token(server, owner["clientId"], owner["clientSecret"], "https://graph.microsoft.com/.default").json()["access_token"]
    hub = token(server, owner["clientId"], owner["clientSecret"], "https://iothubs.azure.net/.default").json()["access_token"]
    wrong = {
        "none": None,
        "nonsense": "nonsense",
        "of another audience": graph,
        "of the hubs' audience": hub,
        "unsigned": joined({"alg": "none", "typ": "JWT"}, claims, ""),
        "unsigned, with the key id": joined({**header, "alg": "none"}, claims, ""),
        "without signature": joined(header, claims, ""),
        "with other claims": joined(header, {**claims, "exp": claims["exp"] + 86_400}, signature),
        "signed by another algorithm": joined({**header, "alg": "HS256"}, claims, signature),
        "of an unknown key": joined({**header, "kid": "unknown"}, claims, signature),
        "very long": "a" * 20_000,
    }
    for name, bearer in wrong.items():
        answer = with_token(server, bearer)
        assert answer.status_code in (401, 431), f"{name}: {answer.status_code} {answer.text}"
        if answer.status_code == 401:
            assert answer.json()["error"]["code"] and answer.headers["WWW-Authenticate"].startswith("Bearer "), f"{name}: {answer.text}"


def test_a_token_of_another_audience_at_a_hub(plant: Plant) -> None:
    refused = plant.hub_rest("GET", "/devices/x", authorization=f"Bearer {plant.arm.bearer}")
    assert refused.status_code == 401, refused.text
    assert refused.headers["iothub-errorcode"], refused.headers


def test_an_expired_token(own_server: Callable[..., Server], tmp_path: Path) -> None:
    """A server whose clock runs two hours late issues a token; after a start with the right time it is over."""
    library = compile_shim(Path(__file__).parent / "shifted_clock.c", tmp_path)
    server = own_server(environment={"LD_PRELOAD": library, "SHIFTED_CLOCK_SECONDS": "-7200"})
    old = Arm(server).bearer
    assert with_token(server, old).status_code == 200
    server.stop()
    server.environment = {}
    server.start()
    answer = with_token(server, old)
    assert answer.status_code == 401, answer.text
    assert answer.json()["error"]["code"] == "ExpiredAuthenticationToken", answer.text
    assert with_token(server, Arm(server).bearer).status_code == 200


def test_sign_in(server: Server) -> None:
    owner = server.owner
    for client, secret in ((owner["clientId"], "wrong"), ("00000000-0000-0000-0000-000000000001", "x"), ("nonsense", "x")):
        answer = token(server, client, secret)
        assert answer.status_code in (400, 401), answer.text
        assert answer.json()["error"] in ("invalid_client", "unauthorized_client", "invalid_request"), answer.text
        assert answer.json()["error_description"].startswith("AADSTS"), answer.text
    url = f"{server.url}/{owner['tenantId']}/oauth2/v2.0/token"
    for form in ({}, {"grant_type": "password"}, {"grant_type": "client_credentials"}):
        answer = requests.post(url, data=form, verify=server.ca, timeout=30)
        assert 400 <= answer.status_code < 500 and answer.json()["error"], answer.text


def test_malformed_ids(arm: Arm, plant: Plant) -> None:
    zero = "/subscriptions/00000000-0000-0000-0000-000000000000"
    cases = [
        ("GET", f"{zero}/resourcegroups", "SubscriptionNotFound"),
        ("GET", "/subscriptions/not-a-guid/resourcegroups", ""),
        ("GET", f"{arm.subscription}/resourceGroups/no-such-group", "ResourceGroupNotFound"),
        ("GET", f"{plant.group}/providers/Microsoft.Devices/IotHubs/no-such-hub", "ResourceNotFound"),
        ("GET", f"{plant.group}/providers/Microsoft.Devices", ""),
        ("GET", f"{plant.group}/providers/Microsoft.Nonsense/things/x", ""),
        ("GET", f"{plant.group}/providers/Microsoft.Devices/Nonsense/x", ""),
        ("GET", f"{plant.group}/providers/Microsoft.Devices/IotHubs/a/b/c/d/e/f", ""),
        ("GET", f"{plant.group}/providers/Microsoft.Devices/IotHubs/%2e%2e%2f", ""),
        ("GET", f"{plant.group}/providers/Microsoft.Devices/IotHubs/%ff", ""),
        ("PUT", f"{arm.subscription}/resourceGroups/bad*name", ""),
        ("PUT", f"{arm.subscription}/resourceGroups/ends.", ""),
        ("PUT", f"{arm.subscription}/resourceGroups/{'a' * 91}", ""),
        ("POST", plant.hub, ""),
    ]
    for method, path, code in cases:
        refused = arm.refused(method, path, versions.GROUP if "/providers/" not in path else versions.HUB, {"location": LOCATION} if method == "PUT" else None)
        assert not code or refused.code == code, f"{method} {path}: {refused}"


def test_api_versions(arm: Arm, plant: Plant) -> None:
    missing = arm.send("GET", plant.hub, "")
    assert missing.status_code == 400 and missing.json()["error"]["code"] == "MissingApiVersionParameter", missing.text
    for version in ("nonsense", "1999-01-01", "2025-08-01-preview2"):
        refused = arm.refused("GET", plant.hub, version)
        assert refused.status == 400, refused


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff\xfe{}", b'{"location":', b'{"location":7}', b'{"location":"atlantis"}', b"", b"[" * 100_000])
def test_bodies(arm: Arm, plant: Plant, body: bytes) -> None:
    path = f"{plant.group}/providers/Microsoft.DeviceRegistry/namespaces/wrong-body"
    answer = arm.session.put(
        f"{arm.server.url}{path}?api-version={versions.REGISTRY}", data=body,
        headers={"Authorization": f"Bearer {arm.bearer}", "Content-Type": "application/json"}, timeout=30,
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] and answer.json()["error"]["message"], answer.text
    assert arm.refused("GET", path, versions.REGISTRY).status == 404


NAMES = {
    "namespaces": ["ab", "Upper-Case", "-starts", "ends-", "under_score", "a" * 65, "dot.ted"],
    "policies": ["ab", "a" * 64, "under_score!", "-starts"],
    "IotHubs": ["ab", "-starts", "ends-", "under_score", "a" * 51, "dot.ted"],
    "provisioningServices": ["ab", "-starts", "ends-", "under_score", "a" * 65],
}


@pytest.mark.parametrize("kind", NAMES)
def test_names(arm: Arm, plant: Plant, kind: str) -> None:
    parent, version, body = {
        "namespaces": (f"{plant.group}/providers/Microsoft.DeviceRegistry", versions.REGISTRY, {"location": LOCATION}),
        "policies": (f"{plant.namespace}/credentials/default", versions.REGISTRY, {"location": LOCATION, "properties": {}}),
        "IotHubs": (f"{plant.group}/providers/Microsoft.Devices", versions.HUB, {"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "properties": {}}),
        "provisioningServices": (f"{plant.group}/providers/Microsoft.Devices", versions.DPS, {"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "properties": {}}),
    }[kind]
    for name in NAMES[kind]:
        refused = arm.refused("PUT", f"{parent}/{kind}/{name}", version, body)
        assert refused.status == 400 and name in refused.message, f"{name}: {refused}"


def test_names_are_unique_over_subscriptions_ignoring_case(arm: Arm, plant: Plant) -> None:
    group = f"{arm.subscription}/resourceGroups/elsewhere-rg"
    arm.put(group, versions.GROUP, {"location": LOCATION})
    body = {"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "properties": {}}
    for taken, version in ((plant.hub, versions.HUB), (plant.dps, versions.DPS)):
        kind, name = taken.rsplit("/", 2)[1:]
        refused = arm.refused("PUT", f"{group}/providers/Microsoft.Devices/{kind}/{name.upper()}", version, body)
        assert refused.status in (400, 409) and name.lower() in refused.message.lower(), refused


def test_rules_of_policies(arm: Arm, plant: Plant) -> None:
    policies = f"{plant.namespace}/credentials/default/policies"

    def body(subject: str | None = None, days: object = None) -> dict[str, Any]:
        certificate: dict[str, Any] = {"certificateAuthorityConfiguration": {"keyType": "ECC"}}
        if subject:
            certificate["certificateAuthorityConfiguration"]["subject"] = subject
        if days is not None:
            certificate["leafCertificateConfiguration"] = {"validityPeriodInDays": days}
        return {"location": LOCATION, "properties": {"certificate": certificate}}

    for days in (0, 3651, -1, "thirty"):
        refused = arm.refused("PUT", f"{policies}/wrong-days", versions.REGISTRY, body(days=days))
        assert refused.status == 400, refused
    for subject in ("no distinguished name", "CN=", "XX=1"):
        assert arm.refused("PUT", f"{policies}/wrong-subject", versions.REGISTRY, body(subject)).status == 400
    arm.put(f"{policies}/first-subject", versions.REGISTRY, body("CN=Only One,O=Plant", 3650))
    # The same name, written otherwise.
    taken = arm.refused("PUT", f"{policies}/second-subject", versions.REGISTRY, body("cn=only one, o=PLANT"))
    assert taken.status == 409, taken
    changed = arm.refused("PUT", f"{policies}/first-subject", versions.REGISTRY, body("CN=Another"))
    assert changed.status == 409, changed
    again = arm.put(f"{policies}/first-subject", versions.REGISTRY, body("CN=Only One,O=Plant", 1))
    assert again["properties"]["certificate"]["leafCertificateConfiguration"]["validityPeriodInDays"] == 1
    arm.delete(f"{policies}/first-subject", versions.REGISTRY)


def test_a_namespace_in_use_is_kept(arm: Arm, plant: Plant) -> None:
    refused = arm.refused("DELETE", plant.namespace, versions.REGISTRY)
    assert refused.status == 409, refused
    for holder in (plant.hub_name, plant.dps.rsplit("/", 1)[1]):
        assert holder in refused.message, refused
    assert arm.get(plant.namespace, versions.REGISTRY)["id"]


def test_what_is_not_built_says_so(arm: Arm, plant: Plant) -> None:
    for method, path, version in (
        ("GET", f"{plant.namespace}/jobs", "2026-11-02-preview"),
    ):
        answer = arm.send(method, path, version, {} if method == "POST" else None)
        assert answer.status_code in (400, 404, 405, 409, 501) and answer.json()["error"]["message"], f"{path}: {answer.status_code} {answer.text}"
    for method, path, version in (
        ("PUT", f"{plant.group}/providers/Microsoft.Storage/storageAccounts/x", "2024-01-01"),
    ):
        answer = arm.send(method, path, version, {} if method != "GET" else None)
        message = answer.json()["error"]["message"]
        assert answer.status_code in (404, 501) and "Ferrohub" in message and "Microsoft.DeviceRegistry" in message, f"{path}: {answer.text}"
    for path in ("/twins/x/methods", "/configurations", "/jobs/v2"):
        answer = plant.hub_rest("GET", path, None)
        assert answer.status_code == 501 and answer.text, f"{path}: {answer.status_code} {answer.text}"


def test_rules_of_links(arm: Arm, plant: Plant) -> None:
    """A hub keeps its namespace; a DPS lies in its namespace's region; a policy needs a linked DPS."""
    other = f"{plant.group}/providers/Microsoft.DeviceRegistry/namespaces/other-ns"
    arm.put(other, versions.REGISTRY, {"location": LOCATION, "identity": {"type": "SystemAssigned"}})
    hub = arm.get(plant.hub, versions.HUB)
    hub["properties"]["deviceRegistry"]["namespaceResourceId"] = other
    refused = arm.refused("PUT", plant.hub, versions.HUB, hub)
    assert refused.status in (400, 409) and plant.namespace.rsplit("/", 1)[1] in refused.message, refused
    body = arm.get(plant.dps, versions.DPS)
    far = {"location": "westus2", "sku": body["sku"], "identity": {"type": "UserAssigned", "userAssignedIdentities": {plant.identity: {}}}}
    far["properties"] = {"deviceRegistryNamespace": body["properties"]["deviceRegistryNamespace"]}
    refused = arm.refused("PUT", f"{plant.group}/providers/Microsoft.Devices/provisioningServices/far-dps", versions.DPS, far)
    assert refused.status in (400, 409) and LOCATION in refused.message and "westus2" in refused.message, refused
    arm.delete(other, versions.REGISTRY)


def test_a_credential_policy_needs_a_linked_dps(arm: Arm, plant: Plant) -> None:
    """Refused with the linking command, which works as soon as its placeholders are filled in."""
    made = add_dps(arm, plant.group, "unlinked-dps", None, None, [])
    host = made["properties"]["serviceOperationsHostName"]
    key = shared_key(arm, made["id"], versions.DPS, "provisioningserviceowner")
    body = {"enrollmentGroupId": "g", "attestation": {"type": "symmetricKey", "symmetricKey": {}}, "credentialPolicyName": "default"}

    def enroll() -> requests.Response:
        return requests.put(
            f"{arm.server.url}/enrollmentGroups/g?api-version={ENROLLMENT_API}", json=body, verify=arm.server.ca, timeout=30,
            headers={"Host": f"{host}:{arm.server.https_port}", "Authorization": sas(host, key, "provisioningserviceowner")},
        )

    answer = enroll()
    assert answer.status_code in (400, 409), answer.text
    message = answer.json()["message"]
    found = re.search(r"az iot dps update [^\n]*", message)
    assert found and "unlinked-dps" in found[0] and plant.group_name in found[0], message
    # In bash an unquoted one would be a redirection.
    assert not re.search(r"(?<!')<", found[0]), message
    values = {"namespace": plant.namespace, "identity": plant.identity}
    line = re.sub(r"<[^<>]*?(namespace|identity)>", lambda placeholder: values[placeholder[1]], found[0]).rstrip(". ")
    assert "<" not in line, line
    arm.server.paste(line)
    linked = enroll()
    assert linked.status_code == 200 and linked.json()["credentialPolicyName"] == "default", linked.text


def test_links_that_are_written_on_the_namespace(arm: Arm, plant: Plant) -> None:
    """The later model, where a namespace names its hubs: older api-versions do not have it, and nothing is a success that links nothing."""
    path = f"{plant.group}/providers/Microsoft.DeviceRegistry/namespaces/writes-links"
    hub = {"endpointType": "Microsoft.Devices/IotHubs", "address": "https://nowhere", "resourceId": plant.hub}
    dps = {"endpointType": "Microsoft.Devices/provisioningServices", "resourceId": plant.dps}
    for properties in (
        {"messaging": {"endpoints": {"hub-1": hub}}},
        {"messaging": {"endpoints": {"hub-1": {**hub, "resourceId": "/nope"}}}},
        {"provisioning": {"endpoints": {"dps-1": dps}}},
        {"updating": {"endpoints": {"du-1": {"endpointType": "Microsoft.DeviceUpdate/updateInstances", "resourceId": "/x"}}}},
    ):
        answer = arm.send("PUT", path, versions.REGISTRY, {"location": LOCATION, "properties": properties})
        assert answer.status_code in (400, 501) and answer.json()["error"]["message"], f"{properties}: {answer.status_code} {answer.text}"
        assert arm.refused("GET", path, versions.REGISTRY).status == 404, properties
    # What a GET shows of links that are there can be put back.
    assert arm.put(plant.namespace, versions.REGISTRY, arm.get(plant.namespace, versions.REGISTRY))["id"]


def test_a_masked_key_sent_back_keeps_the_stored_one(arm: Arm, plant: Plant) -> None:
    dps = arm.get(plant.dps, versions.DPS)
    assert plant.hub_key not in json.dumps(dps) and "****" in dps["properties"]["iotHubs"][0]["connectionString"]
    assert arm.put(plant.dps, versions.DPS, dps)["properties"]["iotHubs"] == dps["properties"]["iotHubs"]
    assert plant.register("after-masked-key").body["status"] == "assigned"
    # A key that is not the hub's is another matter.
    wrong = f"HostName={plant.hub_host};SharedAccessKeyName=iothubowner;SharedAccessKey={base64.b64encode(bytes(64)).decode()}"
    dps["properties"]["iotHubs"] = [{"connectionString": wrong, "location": LOCATION}]
    refused = arm.refused("PUT", plant.dps, versions.DPS, dps)
    assert refused.status == 400 and plant.hub_name in refused.message, refused
    assert plant.register("after-wrong-key").body["status"] == "assigned"
