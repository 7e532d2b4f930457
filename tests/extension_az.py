"""The extension azure-iot of `az`, unmodified: enrollments of both kinds, registrations, a device that registers, and one that is simulated.

No registry of packages has the extension, so this is run by hand, by its file's name, where somebody put it:
FERROHUB_TEST_AZ_EXTENSIONS names a folder that `az extension add --name azure-iot` filled (AZURE_EXTENSION_DIR),
FERROHUB_TEST_AZ_OF_EXTENSION the `az` that can load it. Without them it fails."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from lib.keys import b64, csr, derived, make_chain, new_key, save_chain
from lib.plant import Plant
from lib.server import Output
from test_az import Az
from test_device_sdk import events_of

FOLDER = os.environ["FERROHUB_TEST_AZ_EXTENSIONS"]

# What a hosts file and a port forward do, in each Python that `az` starts.
HOSTS = """
import socket
look_up = socket.getaddrinfo
def here(host, port, *more, **options):
    host = host.decode() if isinstance(host, bytes) else host
    name = "127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host
    return look_up(name, {port} if port == 443 else port, *more, **options)
socket.getaddrinfo = here
"""


class ExtendedAz(Az):
    """Signed in as the owner; `dps` and `hub` add whose command it is."""

    def __init__(self, plant: Plant, folder: Path) -> None:
        super().__init__(plant.server, folder)
        self.plant = plant
        self.program = os.environ.get("FERROHUB_TEST_AZ_OF_EXTENSION", self.program)
        names = folder / "names"
        names.mkdir()
        (names / "sitecustomize.py").write_text(HOSTS.format(port=plant.server.https_port))
        self.environment |= {"AZURE_EXTENSION_DIR": FOLDER, "PYTHONPATH": str(names), "AZURE_CORE_ONLY_SHOW_ERRORS": "true"}
        owner = plant.server.owner
        self("cloud", "register", "-n", "ferrohub", "--endpoint-resource-manager", plant.server.url)
        self("cloud", "set", "-n", "ferrohub")
        self("login", "--service-principal", "-u", owner["clientId"], "-p", owner["clientSecret"], "--tenant", owner["tenantId"])

    def dps(self, *arguments: str) -> Any:
        return self("iot", "dps", *arguments, *self.of_dps)

    def refused(self, *arguments: str) -> Output:
        done = self.run(*arguments)
        assert done.code != 0 and "Traceback" not in done.stderr, done
        return done

    @property
    def of_dps(self) -> list[str]:
        return ["--dps-name", self.plant.dps.rsplit("/", 1)[1], "-g", self.plant.group_name]

    @property
    def of_hub(self) -> list[str]:
        return ["-n", self.plant.hub_name, "-g", self.plant.group_name]


@pytest.fixture(scope="module")
def az(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> ExtendedAz:
    return ExtendedAz(plant, tmp_path_factory.mktemp("extended"))


def test_an_enrollment_with_keys(az: ExtendedAz, plant: Plant) -> None:
    name = ["--enrollment-id", "ext-keys"]
    made = az.dps(
        "enrollment", "create", *name, "--attestation-type", "symmetrickey", "--device-id", "ext-device", "--edge-enabled", "true",
        "--initial-twin-tags", '{"site":"north"}', "--initial-twin-properties", '{"rate":5}', "--device-info", '{"colour":"red"}',
        "--provisioning-status", "enabled", "--reprovision-policy", "reprovisionandresetdata", "--allocation-policy", "static",
        "--iot-hubs", plant.hub_host,
    )
    assert (made["registrationId"], made["deviceId"], made["attestation"]["type"]) == ("ext-keys", "ext-device", "symmetricKey")
    assert made["initialTwin"]["tags"]["site"] == "north" and made["initialTwin"]["properties"]["desired"]["rate"] == 5, made
    assert made["optionalDeviceInformation"]["colour"] == "red" and made["capabilities"]["iotEdge"] is True
    assert made["reprovisionPolicy"] == {"updateHubAssignment": True, "migrateDeviceData": False}
    assert (made["allocationPolicy"], made["iotHubs"]) == ("static", [plant.hub_host])
    hidden, shown = az.dps("enrollment", "show", *name), az.dps("enrollment", "show", *name, "--show-keys", "true")
    assert not (hidden["attestation"].get("symmetricKey") or {}).get("primaryKey")
    key = shown["attestation"]["symmetricKey"]["primaryKey"]
    assert len(base64.b64decode(key)) >= 32

    # The device registers as the extension's own device does, and is what the enrollment says.
    registered = az(
        "iot", "device", "registration", "create", "--registration-id", "ext-keys", "--host", "localhost", *az.of_dps,
    )
    assert (registered["status"], registered["registrationState"]["deviceId"]) == ("assigned", "ext-device"), registered
    twin = plant.hub_rest("GET", "/twins/ext-device").json()
    assert twin["tags"] == {"site": "north"} and twin["properties"]["desired"]["rate"] == 5 and twin["capabilities"]["iotEdge"] is True
    state = az.dps("enrollment", "registration", "show", *name)
    assert (state["status"], state["assignedHub"]) == ("assigned", plant.hub_host), state

    new = base64.b64encode(os.urandom(32)).decode()
    changed = az.dps("enrollment", "update", *name, "--provisioning-status", "disabled", "--primary-key", new, "--etag", shown["etag"])
    # The extension sends the tags that it read one level deeper, as its own model prints them.
    assert changed["provisioningStatus"] == "disabled" and changed["initialTwin"]["tags"]["additional_properties"] == {"site": "north"}, changed
    assert az.dps("enrollment", "show", *name, "--show-keys", "true")["attestation"]["symmetricKey"]["primaryKey"] == new
    stale = az.refused("iot", "dps", "enrollment", "update", *name, "--edge-enabled", "false", "--etag", shown["etag"], *az.of_dps)
    assert "412" in stale.stderr, stale
    turned_off = az.refused("iot", "device", "registration", "create", "--registration-id", "ext-keys", "--host", "localhost", *az.of_dps)
    assert turned_off.stderr, turned_off
    az.dps("enrollment", "registration", "delete", *name)
    az.dps("enrollment", "delete", *name)
    gone = az.refused("iot", "dps", "enrollment", "show", *name, *az.of_dps)
    assert "404" in gone.stderr or "not found" in gone.stderr.lower(), gone


def test_enrollments_with_certificates_and_a_tpm(az: ExtendedAz, plant: Plant, tmp_path: Path) -> None:
    first, second = make_chain(tmp_path, "ext-x509", None), make_chain(tmp_path, "ext-x509-second", None)
    name = ["--enrollment-id", "ext-x509"]
    made = az.dps(
        "enrollment", "create", *name, "--attestation-type", "x509", "--certificate-path", str(first.certificate_file),
        "--secondary-certificate-path", str(second.certificate_file),
    )
    certificates = made["attestation"]["x509"]["clientCertificates"]
    assert certificates["primary"]["info"]["subjectName"] == "CN=ext-x509" and certificates["secondary"]["info"], made
    files = ["--certificate-file-path", str(first.certificate_file), "--key-file-path", str(first.key_file)]
    registered = az("iot", "device", "registration", "create", "--registration-id", "ext-x509", "--host", "localhost", *files, *az.of_dps)
    assert registered["status"] == "assigned", registered
    only = az.dps("enrollment", "update", *name, "--remove-secondary-certificate", "true")
    assert not only["attestation"]["x509"]["clientCertificates"].get("secondary"), only
    tpm = ["--enrollment-id", "ext-tpm"]
    endorsement = "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAxsj2gUScTk1UjuioeTlfGYZrrimExB+bScH75adUMRIi2UOMxG1kw4y+9RW/IVoMl4e620VxZad0ARX2gUqVjYO7KPVt3dyKhZS3dkcvfBisBhP1XH9B33VqHG9SHnbnQXdBUaCgKAfxome8UmBKfe+naTsE5fkvjb/do3/dD6l4sGBwFCnKRdln4XpM03zLpoHFao8zOwt8l/uP3qUIxmCYv9A7m69Ms+5/pCkTu/rK4mRDsfhZ0QLfbzVI6zQFOKF/rwsfBtFeWlWtcuJMKlXdD8TXWElTzgh7JS4qhFzreL0c1mI0GCj+Aws0usZh7dLIVPnlgZcBhgy1SSDQMQ=="
    enrolled = az.dps("enrollment", "create", *tpm, "--attestation-type", "tpm", "--endorsement-key", endorsement)
    assert enrolled["attestation"]["tpm"]["endorsementKey"] == endorsement
    names = {one["registrationId"] for one in az.dps("enrollment", "list", "--top", "100")}
    assert {"ext-x509", "ext-tpm"} <= names, names
    assert len(az.dps("enrollment", "list", "--top", "1")) == 1
    for each in (name, tpm):
        az.dps("enrollment", "delete", *each)


def test_groups(az: ExtendedAz, plant: Plant, tmp_path: Path) -> None:
    name = ["--enrollment-id", "ext-group"]
    made = az.dps(
        "enrollment-group", "create", *name, "--initial-twin-tags", '{"line":7}', "--allocation-policy", "hashed",
        "--iot-hubs", plant.hub_host, "--edge-enabled", "false",
    )
    assert made["attestation"]["type"] == "symmetricKey" and made["allocationPolicy"] == "hashed", made
    group_key = az.dps("enrollment-group", "show", *name, "--show-keys", "true")["attestation"]["symmetricKey"]["primaryKey"]
    device_key = az.dps("enrollment-group", "compute-device-key", *name, "--registration-id", "ext-member")
    assert device_key == derived(group_key, "ext-member")
    registered = az(
        "iot", "device", "registration", "create", "--registration-id", "ext-member", "--enrollment-group-id", "ext-group",
        "--host", "localhost", *az.of_dps,
    )
    assert registered["registrationState"]["substatus"] == "initialAssignment", registered
    listed = az.dps("enrollment-group", "registration", "list", *name)
    assert [one["registrationId"] for one in listed] == ["ext-member"]
    assert az.dps("enrollment-group", "registration", "show", "--registration-id", "ext-member")["status"] == "assigned"
    az.dps("enrollment-group", "registration", "delete", "--registration-id", "ext-member")
    changed = az.dps("enrollment-group", "update", *name, "--reprovision-policy", "never", "--provisioning-status", "disabled")
    assert changed["reprovisionPolicy"]["updateHubAssignment"] is False and changed["provisioningStatus"] == "disabled", changed

    root = make_chain(tmp_path, "ext-factory", None, ca=True)
    by_root = ["--enrollment-id", "ext-factory"]
    made = az.dps("enrollment-group", "create", *by_root, "--certificate-path", str(root.certificate_file))
    assert made["attestation"]["x509"]["signingCertificates"]["primary"]["info"]["subjectName"] == "CN=ext-factory", made
    device = make_chain(tmp_path, "ext-made", root)
    files = ["--certificate-file-path", str(device.certificate_file), "--key-file-path", str(device.key_file)]
    registered = az("iot", "device", "registration", "create", "--registration-id", "ext-made", "--host", "localhost", *files, *az.of_dps)
    assert registered["status"] == "assigned", registered
    names = {one["enrollmentGroupId"] for one in az.dps("enrollment-group", "list")}
    assert {"group", "ext-group", "ext-factory"} <= names, names
    for each in (name, by_root):
        az.dps("enrollment-group", "delete", *each)


def test_by_a_role_instead_of_a_key(az: ExtendedAz, plant: Plant) -> None:
    """`--auth-type login`: the data plane by a token of Entra, for DPS and hub, once who asks has the role that the refusal names."""
    command = ("iot", "dps", "enrollment-group", "list", "--auth-type", "login", *az.of_dps)
    assert "Device Provisioning Service Data Reader" in az.refused(*command).stderr
    me = plant.server.az("ad", "sp", "show", "--id", plant.server.owner["clientId"])["id"]
    roles, given = (("Device Provisioning Service Data Reader", plant.dps), ("IoT Hub Data Reader", plant.hub)), []
    for role, scope in roles:
        to = ["--assignee-object-id", me, "--assignee-principal-type", "ServicePrincipal"]
        given.append(az("role", "assignment", "create", *to, "--role", role, "--scope", scope)["id"])
    listed = az.dps("enrollment-group", "list", "--auth-type", "login")
    assert "group" in {one["enrollmentGroupId"] for one in listed}
    assert plant.register("ext-role").body["status"] == "assigned"
    found = az("iot", "hub", "query", "-q", "SELECT deviceId FROM devices WHERE deviceId = 'ext-role'", "--auth-type", "login", *az.of_hub)
    assert found == [{"deviceId": "ext-role"}], found
    az("role", "assignment", "delete", "--ids", *given)


def test_a_simulated_device(az: ExtendedAz, plant: Plant, tmp_path: Path) -> None:
    device = "ext-simulated"
    assert plant.register(device).body["status"] == "assigned"
    shown = az("iot", "hub", "device-identity", "show", "-d", device, *az.of_hub)
    assert shown["deviceId"] == device and shown["authentication"]["symmetricKey"]["primaryKey"] == plant.key(device)
    az(
        "iot", "device", "simulate", "-d", device, "--msg-count", "3", "--msg-interval", "1", "--data", "from the extension",
        "--init-reported-properties", '{"firmware":"9"}', *az.of_hub,
    )
    events = events_of(plant, device)
    assert len(events) == 3 and all(b"from the extension #" in base64.b64decode(event["body"]) for event in events), events
    twin = az("iot", "hub", "device-twin", "show", "-d", device, *az.of_hub)
    assert twin["properties"]["reported"]["firmware"] == "9", twin

    certified, key = "ext-certified", new_key()
    answer = plant.register(certified, b64(csr(key, certified)))
    chain = save_chain(tmp_path, certified, answer.state["issuedCertificateChain"], key)
    files = ["--certificate-file-path", str(chain.certificate_file), "--key-file-path", str(chain.key_file)]
    az("iot", "device", "simulate", "-d", certified, "--msg-count", "2", "--msg-interval", "1", *files, *az.of_hub)
    assert len(events_of(plant, certified)) == 2
    wrong = az.refused("iot", "device", "simulate", "-d", "ext-nobody", "--msg-count", "1", "--msg-interval", "1", *az.of_hub)
    assert "ext-nobody" in wrong.stderr, wrong
