"""Clients that know Azure's own names only, through `ferrohub proxy` with what `ferrohub env` exports; no `cloud register`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import requests

from lib.keys import sas
from lib.plant import LOCATION, ROLE_ACTIONS, Plant
from lib.proxy import Proxy
from lib.server import ROOT, Output, Server, until

GROUP = "proxied-rg"
HUBS, DPS = "Microsoft.Devices/IotHubs", "Microsoft.Devices/provisioningServices"


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    running = Proxy(server)
    yield running
    running.stop()


class Az:
    """The real `az` as it comes: nothing but the exports."""

    def __init__(self, proxy: Proxy, home: Path) -> None:
        self.program = os.environ.get("FERROHUB_TEST_AZ", str(ROOT / "target" / "foreign" / "az" / "bin" / "az"))
        self.environment = proxy.environment(home=home)

    def run(self, *arguments: str) -> Output:
        done = subprocess.run(
            [self.program, *arguments], env=self.environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=180
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.code == 0, f"az {' '.join(arguments)}: exit {done.code}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="module")
def az(proxy: Proxy, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Az:
    az, owner = Az(proxy, tmp_path_factory.mktemp("proxied")), server.owner
    listed = az("login", "--service-principal", "-u", owner["clientId"], "-p", owner["clientSecret"], "--tenant", owner["tenantId"])
    assert [(one["id"], one["cloudName"]) for one in listed] == [(owner["subscriptionId"], "AzureCloud")]
    return az


@pytest.fixture(scope="module")
def group(az: Az) -> str:
    return str(az("group", "create", "--name", GROUP, "--location", LOCATION)["id"])


def test_az_is_in_azures_own_cloud(az: Az, proxy: Proxy, server: Server, tmp_path: Path) -> None:
    shown = az("account", "show")
    assert shown["environmentName"] == "AzureCloud" and shown["tenantId"] == server.owner["tenantId"]
    assert az("cloud", "show")["endpoints"]["resourceManager"].rstrip("/") == "https://management.azure.com"
    assert LOCATION in [one["name"] for one in az("account", "list-locations")]
    login = ["login", "--service-principal", "-u", server.owner["clientId"], "-p", "wrong", "--tenant", server.owner["tenantId"]]
    wrong = Az(proxy, tmp_path).run(*login)
    assert wrong.code == 1 and "Traceback" not in wrong.stderr and "AADSTS7000215" in wrong.stderr, wrong.stderr


def test_the_lines_of_a_script_that_was_written_for_azure(az: Az, group: str) -> None:
    """The published set-up, as far as core `az` goes, then its other half by `az rest`, and all of it taken away again."""
    role = {"Name": "proxied-role", "Description": "d", "Actions": ROLE_ACTIONS, "AssignableScopes": [group]}
    az("role", "definition", "create", "--role-definition", json.dumps(role))
    az("role", "assignment", "create", "--assignee", "89d10474-74af-4874-99a7-c23c2f643083", "--role", "Contributor", "--scope", group)
    identity = az("identity", "create", "--name", "proxied-id", "--resource-group", GROUP, "--location", LOCATION)
    assert az("identity", "show", "--name", "proxied-id", "--resource-group", GROUP, "--query", "principalId") == identity["principalId"]
    namespace = f"{group}/providers/Microsoft.DeviceRegistry/namespaces/proxied-ns"
    body = json.dumps({"location": LOCATION, "identity": {"type": "SystemAssigned"}})
    url = f"https://management.azure.com{namespace}?api-version=2026-03-01-preview"
    assert az("rest", "--method", "put", "--url", url, "--body", body)["name"] == "proxied-ns"
    az("role", "assignment", "create", "--assignee", identity["principalId"], "--role", "proxied-role", "--scope", namespace)
    assert {one["roleDefinitionName"] for one in az("role", "assignment", "list", "--scope", namespace)} == {"proxied-role"}
    hub = az(
        "iot", "hub", "create", "--name", "proxied-hub", "--resource-group", GROUP, "--location", LOCATION, "--sku", "S1",
        "--mi-user-assigned", identity["id"],
    )
    assert az("iot", "hub", "show", "--name", "proxied-hub", "--resource-group", GROUP, "--query", "identity")["type"] == "UserAssigned"
    az("iot", "dps", "create", "--name", "proxied-dps", "--resource-group", GROUP, "--location", LOCATION)
    linked = az("iot", "dps", "linked-hub", "create", "--dps-name", "proxied-dps", "--resource-group", GROUP, "--hub-name", "proxied-hub")
    assert [one["name"] for one in linked] == [hub["properties"]["hostName"]]
    assert az("iot", "hub", "certificate", "list", "--hub-name", "proxied-hub", "--resource-group", GROUP) == {"value": []}
    assert az("ad", "sp", "show", "--id", "89d10474-74af-4874-99a7-c23c2f643083")["appId"].startswith("89d10474")
    az("iot", "hub", "delete", "--name", "proxied-hub", "--resource-group", GROUP)
    az("iot", "dps", "delete", "--name", "proxied-dps", "--resource-group", GROUP)
    az("group", "delete", "--name", GROUP, "--yes")
    assert az("group", "exists", "--name", GROUP) is False


def python(proxy: Proxy, home: Path, script: str) -> str:
    """Runs Python as a script would: its own process, the exports and nothing else."""
    environment = proxy.environment("--credentials", home=home)
    done = subprocess.run([sys.executable, "-c", script], env=environment, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def test_azure_identity_and_management_with_their_defaults(proxy: Proxy, plant: Plant, tmp_path: Path) -> None:
    """Default authority, instance discovery on, default endpoint, credentials of the environment."""
    script = """
import os
from azure.identity import DefaultAzureCredential, EnvironmentCredential
from azure.mgmt.deviceregistry import DeviceRegistryMgmtClient
from azure.mgmt.iothub import IotHubClient
subscription = os.environ["AZURE_SUBSCRIPTION_ID"]
namespaces = DeviceRegistryMgmtClient(EnvironmentCredential(), subscription).namespaces.list_by_subscription()
hubs = IotHubClient(DefaultAzureCredential(), subscription).iot_hub_resource.list_by_subscription()
print(*[one.name for one in namespaces], *[one.name for one in hubs])
"""
    names = python(proxy, tmp_path, script).split()
    assert plant.namespace.rsplit("/", 1)[1] in names and plant.hub.rsplit("/", 1)[1] in names, names


def test_hubs_and_provisioning_services_under_azures_names(proxy: Proxy, plant: Plant, tmp_path: Path) -> None:
    session = requests.Session()
    session.proxies, session.verify, session.trust_env = {"https": proxy.url}, proxy.trust, False
    hub, dps = plant.hub.rsplit("/", 1)[1], plant.dps.rsplit("/", 1)[1]
    for host in (f"{hub}.azure-devices.net", plant.hub_host):
        token = sas(host, plant.hub_key, "iothubowner")
        made = session.put(
            f"https://{host}/devices/by-azures-name?api-version=2021-04-12", headers={"Authorization": token},
            json={"deviceId": "by-azures-name"}, timeout=30,
        )
        assert made.status_code in (200, 409), f"{host}: {made.status_code} {made.text}"
        shown = session.get(f"https://{host}/devices/by-azures-name?api-version=2021-04-12", headers={"Authorization": token}, timeout=30)
        assert shown.status_code == 200 and shown.json()["deviceId"] == "by-azures-name", shown.text
    other = session.get(
        f"https://{hub}.azure-devices.net/devices/x?api-version=2021-04-12", timeout=30,
        headers={"Authorization": sas("other.azure-devices.net", plant.hub_key, "iothubowner")},
    )
    assert other.status_code == 401, other.text
    host = f"{dps}.azure-devices-provisioning.net"
    url = f"https://{host}/enrollmentGroups/by-azures-name?api-version=2025-07-01-preview"
    authorization = {"Authorization": sas(host, plant.dps_key, "provisioningserviceowner")}
    group = {
        "enrollmentGroupId": "by-azures-name", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
        "allocationPolicy": "static", "iotHubs": [f"{hub}.azure-devices.net"],
    }
    made = session.put(url, headers=authorization, json=group, timeout=30)
    assert made.status_code == 200 and made.json()["iotHubs"] == [plant.hub_host], made.text
    assert session.delete(url, headers=authorization, timeout=30).status_code == 204


def test_a_device_by_mqtt(proxy: Proxy, plant: Plant, tmp_path: Path) -> None:
    """azure-iot-device with the proxy option that it has: registering under Azure's name, then both ports of the hub."""
    script = f"""
import base64, hashlib, hmac, socks
from azure.iot.device import IoTHubDeviceClient, Message, ProvisioningDeviceClient, ProxyOptions
proxy = ProxyOptions(proxy_type=socks.HTTP, proxy_addr="127.0.0.1", proxy_port={proxy.port})
key = base64.b64encode(hmac.new(base64.b64decode("{plant.group_key}"), b"proxied-1", hashlib.sha256).digest()).decode()
registered = ProvisioningDeviceClient.create_from_symmetric_key(
    provisioning_host="global.azure-devices-provisioning.net", registration_id="proxied-1", id_scope="{plant.id_scope}",
    symmetric_key=key, proxy_options=proxy, websockets=False,
).register()
assert registered.status == "assigned", registered
hub = registered.registration_state.assigned_hub
for host in (hub, hub.split(".")[0] + ".azure-devices.net"):
    for websockets in (False, True):
        client = IoTHubDeviceClient.create_from_symmetric_key(
            key, host, "proxied-1", proxy_options=proxy, websockets=websockets
        )
        client.connect()
        client.send_message(Message("over " + host))
        assert client.get_twin()["desired"]["$version"] >= 1
        client.shutdown()
print("done")
"""
    assert python(proxy, tmp_path, script).endswith("done")


NODE = """
const http = require("http"), tls = require("tls");
const proxy = new URL(process.env.HTTPS_PROXY), host = "management.azure.com";
http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: host + ":443" })
  .on("connect", (answer, socket) => {
    if (answer.statusCode !== 200) throw new Error("CONNECT: " + answer.statusCode);
    const secure = tls.connect({ socket, servername: host }, () => {
      secure.write("GET /metadata/endpoints?api-version=2022-09-01 HTTP/1.1\\r\\nHost: " + host + "\\r\\nConnection: close\\r\\n\\r\\n");
    });
    let text = "";
    secure.on("data", (part) => { text += part; }).on("end", () => console.log(text.split("\\r\\n\\r\\n")[1]));
  }).end();
"""


def test_node_trusts_by_its_own_variable(proxy: Proxy, tmp_path: Path) -> None:
    environment = proxy.environment(home=tmp_path)
    done = subprocess.run(["node", "-e", NODE], env=environment, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    cloud = json.loads(done.stdout)
    assert cloud["name"] == "AzureCloud" and cloud["authentication"]["loginEndpoint"] == "https://login.microsoftonline.com"
    without = {name: value for name, value in environment.items() if name != "NODE_EXTRA_CA_CERTS"}
    done = subprocess.run(["node", "-e", NODE], env=without, text=True, capture_output=True, timeout=60)
    assert done.returncode != 0 and "certificate" in done.stderr, done.stderr


def test_curl_and_whoever_is_not_served(proxy: Proxy, tmp_path: Path) -> None:
    environment = proxy.environment(home=tmp_path)

    def curl(*arguments: str) -> Output:
        done = subprocess.run(["curl", "-sS", "-m", "20", *arguments], env=environment, text=True, capture_output=True)
        return Output(done.returncode, done.stdout, done.stderr)

    found = curl("https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration")
    assert found.code == 0 and json.loads(found.stdout)["token_endpoint"].startswith("https://login.microsoftonline.com/"), found
    own = curl(f"https://localhost:{proxy.server.https_port}/metadata/endpoints?api-version=2022-09-01")
    assert own.code == 0 and json.loads(own.stdout)["name"] == "Ferrohub", own
    for url in ("https://graph.windows.net/", "https://example.com/", "https://management.azure.com:8443/", "https://localhost:22/"):
        refused = curl(url)
        assert refused.code != 0 and "403" in refused.stderr, refused
    plain = curl("-x", proxy.url, "-o", "-", "-w", "%{http_code}", "http://management.azure.com/")
    assert plain.stdout.endswith("405"), plain
    for sent in (b"CONNECT management.azure.com HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"CONNECT a:443 HTTP/1.1\r\n" + b"x" * 20_000):
        with socket.create_connection(("127.0.0.1", proxy.port), 10) as raw:
            raw.sendall(sent)
            assert raw.recv(100).startswith(b"HTTP/1.1 400"), sent[:30]
    # One that says nothing keeps nobody else from being served.
    silent = [socket.create_connection(("127.0.0.1", proxy.port), 10) for _ in range(50)]
    assert curl("https://management.azure.com/metadata/endpoints").code == 0
    for one in silent:
        one.close()


def test_what_the_root_may_vouch_for(proxy: Proxy) -> None:
    text = subprocess.run(
        ["openssl", "crl2pkcs7", "-nocrl", "-certfile", proxy.trust, "-out", "/dev/stdout"], capture_output=True, check=True
    ).stdout
    shown = subprocess.run(["openssl", "pkcs7", "-print_certs", "-text", "-noout"], input=text, capture_output=True, check=True).stdout.decode()
    roots = [part for part in shown.split("Certificate:") if "Ferrohub proxy" in part.split("Subject Public Key Info")[0]]
    assert len(roots) == 1 and "X509v3 Name Constraints: critical" in roots[0], shown
    for name in ("management.azure.com", "login.microsoftonline.com", "graph.microsoft.com", "azure-devices.net", "azure-devices-provisioning.net"):
        assert f"DNS:{name}" in roots[0]
    assert "IP:0.0.0.0/0.0.0.0" in roots[0], "addresses are excluded"
    # What people import for the server's own names is not this root.
    assert "Ferrohub proxy" not in Path(proxy.server.ca).read_text()
    keys = [path for path in proxy.server.data.iterdir() if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert keys == [], "a key of the proxy lies in the data folder"


def test_servers_and_proxies_come_and_go(own_server: Callable[..., Server], tmp_path: Path) -> None:
    server = own_server()
    absent = server.run("env")
    assert absent.code == 1 and "ferrohub proxy" in absent.stderr, absent
    first = Proxy(server)
    second = server.run("proxy", "--port", "0")
    assert second.code == 1 and "runs on the data folder" in second.stderr, second

    def asked(proxy: Proxy) -> int:
        try:
            answer = requests.get("https://management.azure.com/metadata/endpoints", proxies={"https": proxy.url}, verify=proxy.trust, timeout=10)
        except requests.exceptions.ProxyError as error:
            assert "502" in str(error), error
            return 502
        return answer.status_code

    assert asked(first) == 200
    server.stop()
    assert asked(first) == 502
    server.start()
    until("the proxy to find the server's new port", lambda: asked(first) == 200)
    first.kill()
    assert first.env().code == 1, "a proxy that was killed is not found"
    again = Proxy(server)
    assert again.env().code == 0 and asked(again) == 200
    for shell, line in (
        ("sh", f"export HTTPS_PROXY='{again.url}'"), ("fish", f"set -gx HTTPS_PROXY '{again.url}';"), ("powershell", f"$Env:HTTPS_PROXY = '{again.url}'")
    ):
        printed = again.env("--shell", shell)
        assert line in printed.stdout.splitlines() and server.owner["clientSecret"] not in printed.stdout, printed
    assert server.owner["clientSecret"] in again.env("--credentials").stdout
    again.stop()
    assert not (server.data / "proxy.json").exists()
