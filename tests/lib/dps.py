"""The device side of DPS, as reference/certificates.md 2.2 and 2.3 have it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import requests

from lib.keys import sas
from lib.mqtt import Mqtt
from lib.server import Server

API = "2025-07-01-preview"
DEVICE_HOST = "global.azure-devices-provisioning.localhost"


@dataclass(frozen=True)
class Answer:
    """One answer of DPS."""

    status: int
    body: dict[str, Any]
    retry_after: int | None

    @property
    def state(self) -> dict[str, Any]:
        return self.body.get("registrationState") or {}


def resource(id_scope: str, registration_id: str) -> str:
    return f"{id_scope}/registrations/{registration_id}"


def connect(server: Server, id_scope: str, registration_id: str, key: str, api: str = API, password: str | None = None) -> Mqtt:
    """An MQTT connection of a device, subscribed to its answers."""
    name = resource(id_scope, registration_id)
    username = f"{name}/api-version={api}&ClientVersion=ferrohub-tests%2F1"
    client = Mqtt(server, registration_id, username, password or sas(name, key, "registration"))
    assert client.subscribe("$dps/registrations/res/#") <= 1
    return client


def exchange(client: Mqtt, body: dict[str, Any] | None, first_request: int = 1) -> list[Answer]:
    """Sends a registration and polls to its end; gives every answer."""
    number = first_request
    client.publish(f"$dps/registrations/PUT/iotdps-register/?$rid={number}", body)
    answers = [_answer(client, number)]
    while answers[-1].status == 202:
        operation = answers[-1].body["operationId"]
        # The server says how long; a client that asks earlier is not refused, so a test need not dawdle.
        time.sleep(min(answers[-1].retry_after or 1, 3) / 5)
        number += 1
        assert number < first_request + 100, "the registration does not end"
        client.publish(f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid={number}&operationId={operation}")
        answers.append(_answer(client, number))
    return answers


def _answer(client: Mqtt, number: int) -> Answer:
    topic, payload = client.receive("$dps/registrations/res/")
    parts = re.fullmatch(r"\$dps/registrations/res/(\d+)/\?\$rid=([^&]+)(?:&retry-after=(\d+))?", topic)
    assert parts, f"the topic {topic} has another form"
    assert parts[2] == str(number), f"an answer to request {parts[2]} instead of {number}"
    return Answer(int(parts[1]), json.loads(payload), int(parts[3]) if parts[3] else None)


def register(server: Server, id_scope: str, registration_id: str, key: str, csr: str | None = None, **more: Any) -> Answer:
    """A whole registration over MQTT; gives the last answer."""
    body: dict[str, Any] = {"registrationId": registration_id, **more}
    if csr is not None:
        body["csr"] = csr
    with connect(server, id_scope, registration_id, key) as client:
        return exchange(client, body)[-1]


def https(server: Server, method: str, path: str, authorization: str | None, body: Any = None, api: str = API, raw: bytes | None = None) -> requests.Response:
    """One request of a device over HTTPS, by the service's own name."""
    headers = {"Host": f"{DEVICE_HOST}:{server.https_port}", "Accept": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    url = f"https://localhost:{server.https_port}/{path}?api-version={api}"
    return requests.request(method, url, json=body, data=raw, headers=headers, verify=server.ca, timeout=60)
