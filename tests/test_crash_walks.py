"""kill -9 at a random moment of each walk that no other test kills: afterwards the thing is whole or not there at all, and the same
walk, done again, succeeds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest
import requests

from lib import arm as versions
from lib import dps
from lib.arm import Arm
from lib.keys import Chain, b64, csr, derived, make_chain, new_key, sas, save_chain, signed_by_own_root
from lib.mqtt import Dropped, Mqtt
from lib.plant import LOCATION, Plant, build
from lib.server import Server, until
from lib.token import Token
from test_webhook import Hook, enroll as enroll_hooked, hooked, service
from test_websocket import PATH, WebSocketMqtt, names as names

NEWEST = "2026-11-02-preview"
KILLS = 3
BULK = 10
KEY_STORE = {"ferrohub-key-store": "pkcs11"}
# What whoever asks sees of the end of the server.
GONE = (OSError, Dropped)


@dataclass
class Site:
    """What the walks stand on."""

    plant: Plant
    folder: Path
    factory: Chain
    token: Token
    # A namespace whose keys are in the token.
    keyed: str
    hook_url: str

    @property
    def server(self) -> Server:
        return self.plant.server

    def start_again(self) -> None:
        self.server.start()
        self.plant.arm, self.plant.session = Arm(self.server), requests.Session()

    def status(self, path: str, version: str = versions.REGISTRY) -> int:
        answer = self.plant.arm.send("GET", path, version)
        assert answer.status_code in (200, 404), answer.text
        return answer.status_code

    def policy(self, name: str) -> str:
        return f"{self.plant.namespace}/credentials/default/policies/{name}"

    def make_policy(self, name: str) -> None:
        self.plant.arm.put(self.policy(name), versions.REGISTRY, {"location": LOCATION, "properties": {}})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("walks")
    token = Token(folder / "token")
    with hooked(folder) as (port, trusted):
        webhooks = {"FERROHUB_WEBHOOKS_ALLOW": f"localhost:{port}", "FERROHUB_WEBHOOKS_TRUST": str(trusted)}
        server = Server(folder / "data", environment={**webhooks, **token.environment}).start()
        plant = build(server, "walks")
        Hook.host = plant.hub_host
        keyed = f"{plant.group}/providers/Microsoft.DeviceRegistry/namespaces/walks-keyed"
        plant.arm.put(keyed, versions.REGISTRY, {"location": LOCATION, "tags": KEY_STORE})
        plant.arm.put(f"{keyed}/credentials/default", versions.REGISTRY, {"location": LOCATION, "properties": {}})
        factory = make_chain(folder, "walks-factory", None, ca=True)
        signing = {"signingCertificates": {"primary": {"certificate": factory.certificate_file.read_text()}}}
        group = {"attestation": {"type": "x509", "x509": signing}, "credentialPolicyName": "default"}
        assert plant.dps_rest("PUT", "/enrollmentGroups/walks-factory", group).status_code == 200
        yield Site(plant, folder, factory, token, keyed, f"https://localhost:{port}/good?code=secret")
        assert server.alive, "\n".join(server.log[-20:])
        server.stop()
        assert not [line for line in server.log if "panicked" in line]


@pytest.fixture(scope="module")
def plant(site: Site) -> Plant:
    """For the fixture `names`, which leads to the server of this plant."""
    return site.plant


@dataclass(frozen=True)
class Walk:
    """What is begun, and what it leaves."""

    begin: Callable[[Site, str], None]
    # Whether the thing is whole; that it is not half there is asserted.
    whole: Callable[[Site, str], bool]
    # What must be there before, and is not killed.
    prepare: Callable[[Site, str], None] = lambda site, name: None


def device_is_whole(site: Site, name: str) -> bool:
    registered = site.plant.dps_rest("GET", f"/registrations/{name}")
    there = {
        "identity": site.plant.hub_rest("GET", f"/devices/{name}").status_code == 200,
        "twin": site.plant.hub_rest("GET", f"/twins/{name}").status_code == 200,
        "registration": registered.status_code == 200 and registered.json()["status"] == "assigned",
        "mirrored": site.status(f"{site.plant.namespace}/devices/{name}") == 200,
    }
    assert len(set(there.values())) == 1, f"{name} is half made: {there}"
    return there["identity"]


def at_hub(site: Site, name: str, key: Any, state: dict[str, Any]) -> None:
    """The chain just issued opens the hub."""
    chain = save_chain(site.folder, name, state["issuedCertificateChain"], key)
    with site.plant.connect(name, chain) as hub:
        hub.publish(f"devices/{name}/messages/events/", b"hello")


def exchanged(site: Site, name: str, client: Mqtt) -> None:
    """A registration with a request over a connection that stands."""
    key = new_key()
    with client:
        assert client.subscribe("$dps/registrations/res/#") <= 1
        answer = dps.exchange(client, {"registrationId": name, "csr": b64(csr(key, name))})[-1]
    assert answer.body["status"] == "assigned", answer.body
    at_hub(site, name, key, answer.state)


def username(site: Site, name: str) -> str:
    return f"{dps.resource(site.plant.id_scope, name)}/api-version={dps.API}&ClientVersion=ferrohub-tests%2F1"


def by_certificate(site: Site, name: str) -> None:
    own = make_chain(site.folder, f"{name}-own", site.factory, common_name=name)
    exchanged(site, name, Mqtt(site.server, name, username(site, name), None, own))


def by_websocket(site: Site, name: str) -> None:
    password = sas(dps.resource(site.plant.id_scope, name), site.plant.key(name), "registration")
    exchanged(site, name, WebSocketMqtt(site.plant, dps.DEVICE_HOST, PATH, name, username(site, name), password))


def by_https(site: Site, name: str) -> None:
    resource, key = dps.resource(site.plant.id_scope, name), new_key()
    authorization = sas(resource, site.plant.key(name), "registration")
    body = {"registrationId": name, "csr": b64(csr(key, name))}
    answer = dps.https(site.server, "PUT", f"{resource}/register", authorization, body)
    assert answer.status_code == 202, answer.text
    operation = f"{resource}/operations/{answer.json()['operationId']}"
    while answer.status_code == 202:
        time.sleep(0.1)
        answer = dps.https(site.server, "GET", operation, authorization)
    assert answer.status_code == 200 and answer.json()["status"] == "assigned", answer.text
    at_hub(site, name, key, answer.json()["registrationState"])


def hook_group(site: Site, name: str) -> None:
    made = enroll_hooked(site.plant, name, site.hook_url)
    assert made.status_code == 200, made.text


def by_webhook(site: Site, name: str) -> None:
    mechanism = service(site.plant, "POST", f"enrollmentGroups/{name}/attestationmechanism").json()
    key = derived(mechanism["symmetricKey"]["primaryKey"], name)
    answer = dps.register(site.server, site.plant.id_scope, name, key, payload={"site": name})
    assert (answer.body["status"], answer.state["assignedHub"]) == ("assigned", site.plant.hub_host), answer.body
    assert answer.state["payload"] == {"hello": {"site": name}}, answer.body


def enrollment_ids(name: str) -> list[str]:
    return [f"{name}-{number}" for number in range(BULK)]


def enrolled(site: Site, name: str) -> list[str]:
    """Which of the enrollments are there; each with its keys."""
    found = [one for one in enrollment_ids(name) if site.plant.dps_rest("GET", f"/enrollments/{one}").status_code == 200]
    for one in found:
        keys = site.plant.dps_rest("POST", f"/enrollments/{one}/attestationmechanism")
        assert keys.status_code == 200 and keys.json()["symmetricKey"]["primaryKey"], keys.text
    return found


def enroll_many(site: Site, name: str) -> None:
    """The first by itself, then all at once: those that are there are refused, each by its name."""
    first, *_ = ids = enrollment_ids(name)
    there = enrolled(site, name)
    body = {"attestation": {"type": "symmetricKey"}, "credentialPolicyName": "default"}
    if first not in there:
        made = site.plant.dps_rest("PUT", f"/enrollments/{first}", {"registrationId": first, **body})
        assert made.status_code == 200, made.text
    bulk = {"mode": "create", "enrollments": [{"registrationId": one, **body} for one in ids]}
    answer = site.plant.dps_rest("POST", "/enrollments", bulk)
    assert answer.status_code == 200, answer.text
    assert [one["registrationId"] for one in answer.json()["errors"]] == (there or [first]), answer.text


def enrollments_are_whole(site: Site, name: str) -> bool:
    there = enrolled(site, name)
    assert there == enrollment_ids(name)[: len(there)], "they are made one after the other"
    return len(there) == BULK


def own_root(site: Site, name: str) -> dict[str, Any]:
    policy = site.plant.arm.get(site.policy(name), versions.REGISTRY)["properties"]
    return dict(policy["certificate"]["certificateAuthorityConfiguration"]["bringYourOwnRoot"])


def wait_for_root(site: Site, name: str) -> None:
    authority = {"certificateAuthorityConfiguration": {"keyType": "ECC", "bringYourOwnRoot": {"enabled": True}}}
    site.plant.arm.put(site.policy(name), versions.REGISTRY, {"location": LOCATION, "properties": {"certificate": authority}})
    (site.folder / name).mkdir()
    (site.folder / name / "chain.pem").write_text(signed_by_own_root(own_root(site, name)["certificateSigningRequest"], site.folder / name))


def activate(site: Site, name: str) -> None:
    chain = (site.folder / name / "chain.pem").read_text()
    site.plant.arm.post(f"{site.policy(name)}/activateBringYourOwnRoot", versions.REGISTRY, {"certificateChain": chain})


def root_is_whole(site: Site, name: str) -> bool:
    root = own_root(site, name)
    active = root["status"] == "Active"
    assert active or root["status"] == "PendingActivation", root
    assert bool(root.get("issuingCertificateThumbprint")) == active == (not root.get("certificateSigningRequest")), root
    return active


def synchronize(site: Site, name: str) -> None:
    site.plant.arm.post(f"{site.plant.namespace}/credentials/default/synchronize", versions.REGISTRY, {"policies": [name]})


def synchronized(site: Site, name: str) -> bool:
    """As the namespace tells it; what the hub has must be the same."""
    states = site.plant.arm.get(f"{site.plant.namespace}/credentials/default/synchronization", versions.REGISTRY)["value"]
    told = [one["state"] for one in states if one["policy"] == name] == ["Synchronized"]
    at = [one["properties"].get("policyResourceId") or "" for one in site.plant.hub_certificates()]
    assert told == (len([one for one in at if one.endswith(f"/{name}")]) == 1), f"{states} {at}"
    return told


def make_synchronized(site: Site, name: str) -> None:
    site.make_policy(name)
    synchronize(site, name)


def undo(site: Site, name: str) -> None:
    site.plant.arm.post(f"{site.plant.namespace}/credentials/default/undoSynchronize", versions.REGISTRY, {"policies": [name]})


def policy_is_whole(site: Site, name: str, namespace: str = "") -> bool:
    """By both of its names: policy, and certificate authority."""
    namespace = namespace or site.plant.namespace
    there = site.status(f"{namespace}/credentials/default/policies/{name}"), site.status(f"{namespace}/certificateAuthorities/{name}", NEWEST)
    assert there in ((200, 200), (404, 404)), there
    if there == (404, 404):
        return False
    authority = site.plant.arm.get(f"{namespace}/certificateAuthorities/{name}", NEWEST)["properties"]
    assert authority["provisioningState"] == "Succeeded" and authority["validityNotAfter"], authority
    return True


def make_keyed(site: Site, name: str) -> None:
    before = len(site.token.private_keys())
    there = policy_is_whole(site, name, site.keyed)
    site.plant.arm.put(f"{site.keyed}/credentials/default/policies/{name}", versions.REGISTRY, {"location": LOCATION, "properties": {}})
    assert len(site.token.private_keys()) > before or there, "its key is in the token"


WALKS = {
    "x509": Walk(by_certificate, device_is_whole),
    "websocket": Walk(by_websocket, device_is_whole),
    "https": Walk(by_https, device_is_whole),
    "webhook": Walk(by_webhook, device_is_whole, hook_group),
    "enrollments": Walk(enroll_many, enrollments_are_whole),
    "byor": Walk(activate, root_is_whole, wait_for_root),
    "synchronize": Walk(synchronize, synchronized, Site.make_policy),
    "undo": Walk(undo, lambda site, name: not synchronized(site, name), make_synchronized),
    "delete": Walk(
        lambda site, name: site.plant.arm.delete(site.policy(name), versions.REGISTRY),
        lambda site, name: not policy_is_whole(site, name),
        Site.make_policy,
    ),
    "pkcs11": Walk(make_keyed, lambda site, name: policy_is_whole(site, name, site.keyed)),
}


def killed(site: Site, work: Callable[[], None], after: float) -> None:
    """Kills the server so many seconds after `work` began, and starts it again on its folder."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except GONE:
            pass
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(after)
    site.server.kill()
    thread.join()
    site.start_again()
    assert not faults, repr(faults[0])


@pytest.mark.parametrize("kind", WALKS)
def test_a_walk_that_is_killed(site: Site, kind: str) -> None:
    walk, seed = WALKS[kind], random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    usual = f"{kind}-usual"
    walk.prepare(site, usual)
    begun = time.monotonic()
    walk.begin(site, usual)
    took = time.monotonic() - begun
    assert walk.whole(site, usual)
    for turn in range(KILLS):
        name, after = f"{kind}-{turn}", moments.uniform(0, took)
        walk.prepare(site, name)
        killed(site, lambda: walk.begin(site, name), after)
        print(f"{name}: killed after {after:.3f} of {took:.3f} s, whole: {walk.whole(site, name)}")
        walk.begin(site, name)
        until(f"{name} is whole", lambda: walk.whole(site, name), 30)
    assert walk.whole(site, usual), "what was there before stays"
