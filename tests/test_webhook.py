"""Custom allocation against a webhook of Python's own HTTPS server: one that answers, and those that do not as they should."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import requests

from lib import dps
from lib.keys import derived, sas
from lib.plant import Plant, build
from lib.server import Server

API = "2021-10-01"
HUGE = 1 << 30


class Hook(BaseHTTPRequestHandler):
    """Behaves as the path says, and remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]] = []
    host = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Hook.asked.append((self.path, body))
        kind = self.path.split("?")[0].strip("/")
        if kind == "hangs":
            time.sleep(8)
            return
        if kind == "redirects":
            self.send_response(302)
            self.send_header("Location", "https://169.254.169.254/latest")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "fails":
            self.send_error(503)
            return
        answers = {
            "good": json.dumps({"iotHubHostName": Hook.host, "initialTwin": {"tags": {"by": "hook"}}, "payload": {"hello": body["deviceRuntimeContext"]["payload"]}}),
            "lies": json.dumps({"iotHubHostName": "evil.example.com"}),
            "garbage": "<html>",
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if kind == "huge":
            self.send_header("Content-Length", str(HUGE))
            self.end_headers()
            try:
                for _ in range(HUGE >> 20):
                    self.wfile.write(b"x" * (1 << 20))
            except OSError:
                return
            raise AssertionError("all of it was taken")
        answer = answers[kind].encode()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    with hooked(tmp_path) as served:
        yield served


@contextmanager
def hooked(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Its port, and the certificate that vouches for it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "hook.key", "-out", "hook.pem",
         "-days", "30", "-subj", "/CN=hook", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:TRUE"],
        cwd=tmp_path, check=True, capture_output=True,
    )
    # The leaf is of its own: a CA is no server.
    (tmp_path / "leaf.cnf").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    subprocess.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost"],
        cwd=tmp_path, check=True, capture_output=True,
    )
    subprocess.run(
        ["openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "hook.pem", "-CAkey", "hook.key", "-CAcreateserial", "-out", "leaf.pem", "-days", "30", "-extfile", "leaf.cnf"],
        cwd=tmp_path, check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem", tmp_path / "leaf.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], tmp_path / "hook.pem"
    server.shutdown()


def enroll(plant: Plant, name: str, url: str) -> requests.Response:
    body = {
        "enrollmentGroupId": name, "attestation": {"type": "symmetricKey"}, "allocationPolicy": "custom",
        "customAllocationDefinition": {"webhookUrl": url, "apiVersion": "2019-03-31"},
    }
    return service(plant, "PUT", f"enrollmentGroups/{name}", body)


def service(plant: Plant, method: str, path: str, body: Any = None) -> requests.Response:
    url = f"https://localhost:{plant.server.https_port}/{path}?api-version={API}"
    headers = {"Host": plant.dps_host, "Authorization": sas(plant.dps_host, plant.dps_key, "provisioningserviceowner")}
    return requests.request(method, url, json=body, headers=headers, verify=plant.server.ca, timeout=60)


def test_a_webhook_and_those_that_misbehave(own_server: Callable[..., Server], hook: tuple[int, Path]) -> None:
    port, trusted = hook
    server = own_server(environment={"FERROHUB_WEBHOOKS_ALLOW": f"localhost:{port}", "FERROHUB_WEBHOOKS_TRUST": str(trusted)})
    plant = build(server, "hook")
    Hook.host = plant.hub_host

    def register(kind: str, url: str) -> dps.Answer:
        made = enroll(plant, kind, url)
        assert made.status_code == 200, made.text
        key = service(plant, "POST", f"enrollmentGroups/{kind}/attestationmechanism").json()["symmetricKey"]["primaryKey"]
        Hook.asked.clear()
        return dps.register(server, plant.id_scope, f"d-{kind}", derived(key, f"d-{kind}"), payload={"site": kind})

    for kind, word, times in (
        ("redirects", "redirect (302 Found), which is not followed", 1),
        ("lies", "evil.example.com", 1),
        ("garbage", "not JSON", 1),
        ("huge", "more than 32768 bytes", 1),
        ("fails", "answered 503", 3),
        ("hangs", "did not answer within 5 seconds", 3),
    ):
        answer = register(kind, f"https://localhost:{port}/{kind}?code=secret")
        assert (answer.body["status"], answer.state["errorCode"]) == ("failed", 400207), answer.body
        assert word in answer.state["errorMessage"] and "secret" not in answer.state["errorMessage"], answer.body
        assert len(Hook.asked) == times, kind
    answer = register("good", f"https://localhost:{port}/good?code=secret")
    assert (answer.body["status"], answer.state["assignedHub"]) == ("assigned", plant.hub_host), answer.body
    assert answer.state["payload"] == {"hello": {"site": "good"}}
    path, asked = Hook.asked[0]
    assert path == "/good?code=secret&api-version=2019-03-31" and asked["linkedHubs"] == [plant.hub_host]
    # Where the operator does not let it go, an enrollment is not taken.
    for url in (f"https://127.0.0.1:{port}/good", "https://169.254.169.254/latest", f"http://localhost:{port}/good"):
        refused = enroll(plant, "elsewhere", url)
        assert refused.status_code == 400 and "webhook" in refused.json()["message"], refused.text
