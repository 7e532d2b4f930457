"""azure-iot-deviceprovisioning 1.0.0b1, unpatched: the credential policy of enrollments that exist is set, changed and cleared, one by one and
in bulk. What the SDK does not know of a body it sends as it is."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.iot.deviceprovisioning import DeviceProvisioningClient
from cryptography import x509

from lib import arm as versions
from lib.dps import register
from lib.keys import b64, csr, derived, new_key
from lib.names import lead_here
from lib.plant import Plant, build
from lib.server import Server

KINDS = ["individual", "group"]


@pytest.fixture(scope="module")
def site(server: Server) -> Plant:
    """A namespace with two policies."""
    made = build(server, "dps-sdk")
    made.arm.put(f"{made.namespace}/credentials/default/policies/second", versions.REGISTRY, {"location": "eastus", "properties": {}})
    made.synchronize()
    return made


@pytest.fixture
def client(site: Plant, monkeypatch: pytest.MonkeyPatch) -> DeviceProvisioningClient:
    lead_here(monkeypatch, site.server)
    policy = f"SharedAccessKeyName=provisioningserviceowner;SharedAccessKey={site.dps_key}"
    return DeviceProvisioningClient.from_connection_string(f"HostName={site.dps_host};{policy}")


class Enrolled:
    """An enrollment of either kind and a device that registers by it."""

    def __init__(self, site: Plant, client: DeviceProvisioningClient, kind: str) -> None:
        self.site, self.name, self.device = site, f"sdk-{kind}", f"sdk-{kind}"
        self.operations = client.enrollment if kind == "individual" else client.enrollment_group
        member = "registrationId" if kind == "individual" else "enrollmentGroupId"
        self.write({member: self.name, "attestation": {"type": "symmetricKey"}})
        self.key = self.operations.get_attestation_mechanism(self.name)["symmetricKey"]["primaryKey"]
        if kind == "group":
            self.device += "-device"
            self.key = derived(self.key, self.device)

    def write(self, body: dict[str, Any], **options: Any) -> dict[str, Any]:
        return dict(self.operations.create_or_update(self.name, body, **options))

    def issuer(self) -> str | None:
        """Registers with a request; gives who issued, if anybody did."""
        answer = register(self.site.server, self.site.id_scope, self.device, self.key, b64(csr(new_key(), self.device)))
        assert answer.body["status"] == "assigned", answer.body
        chain = answer.state.get("issuedCertificateChain")
        return str(x509.load_der_x509_certificate(base64.b64decode(chain[0])).issuer.rfc4514_string()) if chain else None


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_of_an_enrollment_that_exists(site: Plant, client: DeviceProvisioningClient, kind: str) -> None:
    one = Enrolled(site, client, kind)
    assert one.issuer() is None
    found = dict(one.operations.get(one.name))
    made = one.write({**found, "credentialPolicyName": "default"}, if_match=found["etag"])
    assert made["credentialPolicyName"] == "default" and made["etag"] != found["etag"], made
    assert (one.issuer() or "").startswith("CN=default."), "the next registration goes by it"
    with pytest.raises(HttpResponseError) as stale:
        one.write({**found, "credentialPolicyName": "second"}, if_match=found["etag"])
    assert stale.value.status_code == 412, stale.value
    changed = one.write({**made, "credentialPolicyName": "second"}, if_match=made["etag"])
    assert changed["credentialPolicyName"] == "second" and (one.issuer() or "").startswith("CN=second."), changed
    with pytest.raises(HttpResponseError) as unknown:
        one.write({**changed, "credentialPolicyName": "third"}, if_match=changed["etag"])
    assert unknown.value.status_code == 400 and "'third'" in str(unknown.value.message), unknown.value
    assert one.operations.get(one.name)["credentialPolicyName"] == "second", "what is refused changes nothing"
    cleared = one.write({name: value for name, value in changed.items() if name != "credentialPolicyName"}, if_match=changed["etag"])
    assert not cleared.get("credentialPolicyName") and one.issuer() is None, cleared
    one.operations.delete(one.name)


@pytest.mark.parametrize("kind", KINDS)
def test_policies_in_bulk(site: Plant, client: DeviceProvisioningClient, kind: str) -> None:
    operations = client.enrollment if kind == "individual" else client.enrollment_group
    member, listed = ("registrationId", "enrollments") if kind == "individual" else ("enrollmentGroupId", "enrollmentGroups")
    names = [f"sdk-bulk-{kind}-{number}" for number in range(3)]
    new = [{member: name, "attestation": {"type": "symmetricKey"}} for name in names]

    def run(mode: str, enrollments: list[dict[str, Any]]) -> dict[str, Any]:
        return dict(operations.run_bulk_operation({"mode": mode, listed: enrollments}))

    assert run("create", new)["isSuccessful"]
    for policy in ("default", "second", None):
        found = [dict(operations.get(name)) for name in names]
        done = run("update", [{**one, "credentialPolicyName": policy} for one in found])
        assert done["isSuccessful"], done
        assert {operations.get(name).get("credentialPolicyName") for name in names} == {policy}
    found = [dict(operations.get(name)) for name in names]
    mixed = run("update", [{**found[0], "credentialPolicyName": "default"}, {**found[1], "credentialPolicyName": "third"}])
    assert not mixed["isSuccessful"] and [error[member] for error in mixed["errors"]] == [names[1]], mixed
    assert run("delete", [{member: name} for name in names])["isSuccessful"]
