"""Calls every operation of a management SDK and says what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.core.paging import ItemPaged
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.polling import LROPoller
from azure.identity import ClientSecretCredential

from lib.plant import Plant
from lib.sdk import Operation, Package, operations
from lib.sdk_arguments import EXPECTED, FIRST, LAST, Arguments, NoArgument

PACKAGES = [
    Package("azure-mgmt-deviceregistry", "1.2.0b1", "DeviceRegistryMgmtClient"),
    Package("azure-mgmt-iothub", "5.0.0b5", "IotHubClient"),
    Package("azure-mgmt-iothub", "4.0.0", "IotHubClient"),
    Package("azure-mgmt-iothubprovisioningservices", "2.1.0", "IotDpsClient"),
]
VERBS = ["PUT", "GET", "PATCH", "POST", "DELETE"]
LONGEST_OPERATION_SECONDS = 60
# Codes of what the server does not know at all.
UNKNOWN = ("NotFound", "InvalidResourceType", "NoRegisteredProviderFound", "InvalidApiVersionParameter")


class Recorder(SansIOHTTPPolicy):  # type: ignore[type-arg]
    """Sees every answer, those to polls too."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:
        headers = {name.lower(): value for name, value in response.http_response.headers.items()}
        self.answers.append((response.http_response.status_code, headers))


@dataclass(frozen=True)
class Verdict:
    """What became of one operation."""

    operation: Operation
    # Statuses of all answers, the polls' included.
    statuses: tuple[int, ...] = ()
    code: str = ""
    message: str = ""
    # What the client or the table of arguments made of it, if that was no HTTP error.
    broken: str = ""

    @property
    def built(self) -> bool:
        status = self.statuses[-1] if self.statuses else 0
        return not (status == 501 or status in (400, 404) and self.code in UNKNOWN)

    @property
    def fault(self) -> str | None:
        """Why a built operation is not in order."""
        name = f"{self.operation.package.label} {self.operation.name}"
        if self.broken:
            return f"{name}: {self.broken}"
        if not self.statuses:
            return f"{name}: nothing was sent"
        if any(status >= 500 and status != 501 for status in self.statuses):
            return f"{name}: answered {self.statuses}: {self.code} {self.message}"
        expected = EXPECTED.get(self.operation.name)
        if expected and self.built:
            return None if self.statuses[-1] in expected[0] else f"{name}: answered {self.statuses}, not {expected[0]}: {expected[1]}"
        if self.built and self.code:
            return f"{name}: {self.operation.verb} {self.operation.path} was refused: {self.statuses[-1]} {self.code}: {self.message}"
        return None


@dataclass
class Judge:
    """A client of one package, and an installation for it."""

    package: Package
    plant: Plant
    folder: Path
    recorder: Recorder = field(default_factory=Recorder)

    def run(self) -> list[Verdict]:
        """Every operation once: what makes comes first, what deletes last."""
        arguments = Arguments(self.plant, self.folder)
        client = self._client()
        return [self._call(operation, arguments) for operation in sorted(operations(self.package, client), key=_place)]

    def _client(self) -> Any:
        server = self.plant.server
        owner, url, ca = server.owner, server.url, server.ca
        credential = ClientSecretCredential(
            owner["tenantId"], owner["clientId"], owner["clientSecret"], authority=url, disable_instance_discovery=True, connection_verify=ca
        )
        kind = getattr(self.package.load(), self.package.client)
        return kind(
            credential, owner["subscriptionId"], base_url=url, credential_scopes=[f"{url}/.default"], connection_verify=ca,
            per_call_policies=[self.recorder], retry_total=0, polling_interval=1,
        )

    def _call(self, operation: Operation, arguments: Arguments) -> Verdict:
        code = message = broken = ""
        try:
            given = arguments.of(operation)
        except (NoArgument, AssertionError) as error:
            return Verdict(operation, broken=f"no arguments: {error}")
        self.recorder.answers.clear()
        try:
            _finish(operation.call(**given))
        except HttpResponseError as error:
            code, message = (error.error.code, error.error.message) if error.error else ("", "")
            code, message = str(code or error.status_code or type(error).__name__), str(message or error.message)
            if error.response is None:
                broken = message
        except Exception as error:  # whatever a client makes of an answer is a fault of the answer
            broken = f"the client failed: {type(error).__name__}: {error}"
        for _, headers in self.recorder.answers:
            url = headers.get("azure-asyncoperation") or headers.get("location") or ""
            if "/operation" in url:
                arguments.operation_id = url.split("?")[0].rsplit("/", 1)[1]
        return Verdict(operation, tuple(status for status, _ in self.recorder.answers), code, message, broken)


def _place(operation: Operation) -> tuple[bool, int, bool, int]:
    """Where an operation stands in the order; those that are the same in it stay as the package has them."""
    deep = -operation.depth if operation.verb == "DELETE" else operation.depth if operation.verb == "PUT" else 0
    return operation.name in LAST, VERBS.index(operation.verb), operation.name not in FIRST, deep


def _finish(result: Any) -> None:
    if isinstance(result, LROPoller):
        result.result(timeout=LONGEST_OPERATION_SECONDS)
        assert result.done(), f"the operation took longer than {LONGEST_OPERATION_SECONDS} s"
    elif isinstance(result, ItemPaged):
        for _ in result:
            pass
