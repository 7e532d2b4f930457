"""Plain HTTP to the control plane: what the tests need beside the SDKs."""

from __future__ import annotations

import time
import uuid
from typing import Any

import requests

from lib.server import Server

GROUP = "2024-11-01"
ROLE = "2022-04-01"
IDENTITY = "2024-11-30"
REGISTRY = "2026-03-01-preview"
HUB = "2025-08-01-preview"
DPS = "2025-02-01-preview"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
HUB_DATA_CONTRIBUTOR = "4fc6c259-987e-4a07-842e-c321cc9d413f"
HUB_REGISTRY_CONTRIBUTOR = "4ea46cd5-c1b2-4a8e-910b-273211f9ce47"


class ArmError(AssertionError):
    """An answer that is no success."""

    def __init__(self, method: str, path: str, response: requests.Response) -> None:
        super().__init__(f"{method} {path}: {response.status_code} {response.text}")
        self.status = response.status_code
        try:
            error = response.json().get("error", {})
        except ValueError:
            error = {}
        self.code = str(error.get("code", ""))
        self.message = str(error.get("message", ""))


def token(server: Server, client_id: str, secret: str, scope: str | None = None) -> requests.Response:
    """The answer of the token endpoint to client credentials."""
    form = {
        "client_id": client_id, "client_secret": secret, "grant_type": "client_credentials",
        "scope": scope or f"{server.url}/.default",
    }
    return requests.post(f"{server.url}/{server.owner['tenantId']}/oauth2/v2.0/token", data=form, verify=server.ca, timeout=30)


class Arm:
    """A signed-in caller."""

    def __init__(self, server: Server, client_id: str | None = None, secret: str | None = None) -> None:
        self.server = server
        owner = server.owner
        self.client_id, self.secret = client_id or owner["clientId"], secret or owner["clientSecret"]
        answer = token(server, self.client_id, self.secret)
        assert answer.status_code == 200, answer.text
        self.bearer: str = answer.json()["access_token"]
        self.session = requests.Session()
        self.session.verify = server.ca
        self.subscription = f"/subscriptions/{owner['subscriptionId']}"

    def send(self, method: str, path: str, version: str, body: Any = None, **headers: str) -> requests.Response:
        """One request; no judgement."""
        url = path if path.startswith("https://") else f"{self.server.url}{path}"
        if version:
            url += ("&" if "?" in url else "?") + f"api-version={version}"
        sent = {"Authorization": f"Bearer {self.bearer}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.session.request(method, url, json=body, headers=sent, timeout=60)

    def call(self, method: str, path: str, version: str, body: Any = None, **headers: str) -> Any:
        """One request that must succeed, and its operation to the end."""
        response = self.send(method, path, version, body, **headers)
        if not response.ok:
            raise ArmError(method, path, response)
        self.finish(response)
        return response.json() if response.text else None

    def finish(self, response: requests.Response, seconds: float = 60) -> None:
        """Polls the operation of an answer until it has ended well."""
        url = response.headers.get("Azure-AsyncOperation") or (response.headers.get("Location") if response.status_code == 202 else None)
        deadline = time.monotonic() + seconds
        while url:
            poll = self.session.get(url, headers={"Authorization": f"Bearer {self.bearer}"}, timeout=60)
            if not poll.ok:
                raise ArmError("operation", url, poll)
            body = poll.json() if poll.text else {}
            status = body.get("status", "Succeeded" if poll.status_code != 202 else "InProgress")
            if status in ("Failed", "Canceled"):
                raise ArmError("operation", url, poll)
            if poll.status_code != 202 and status == "Succeeded":
                return
            assert time.monotonic() < deadline, f"the operation {url} did not end: {poll.text}"
            time.sleep(min(float(poll.headers.get("Retry-After", "1")), 1.0))

    def get(self, path: str, version: str) -> Any:
        return self.call("GET", path, version)

    def put(self, path: str, version: str, body: Any, **headers: str) -> Any:
        self.call("PUT", path, version, body, **headers)
        return self.get(path, version)

    def post(self, path: str, version: str, body: Any = None) -> Any:
        return self.call("POST", path, version, body)

    def delete(self, path: str, version: str) -> None:
        self.call("DELETE", path, version)

    def refused(self, method: str, path: str, version: str, body: Any = None, **headers: str) -> ArmError:
        """One request that must be refused; gives the refusal."""
        try:
            self.call(method, path, version, body, **headers)
        except ArmError as error:
            assert error.code and error.message, f"a refusal without code or message: {error}"
            assert error.status < 500, str(error)
            return error
        raise AssertionError(f"{method} {path} was not refused")

    def assign(self, scope: str, principal: str, role: str) -> str:
        """Assigns a role (its GUID or id) and gives the assignment's id."""
        definition = role if role.startswith("/") else f"{self.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        properties = {"roleDefinitionId": definition, "principalId": principal, "principalType": "ServicePrincipal"}
        return self.put(path, ROLE, {"properties": properties})["id"]

    def data_bearer(self) -> str:
        """Authorization of a bearer request to a hub."""
        answer = token(self.server, self.client_id, self.secret, "https://iothubs.azure.net/.default")
        assert answer.status_code == 200, answer.text
        return f"Bearer {answer.json()['access_token']}"
