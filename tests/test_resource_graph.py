"""Resource Graph by the management SDK: what a query finds, how it pages, how what is wrong is named, and what a caller may not read."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.resourcegraph import ResourceGraphClient
from azure.mgmt.resourcegraph.models import FacetRequest, FacetRequestOptions, QueryRequest, QueryRequestOptions

from lib import arm as versions
from lib.arm import Arm
from lib.plant import Plant
from lib.server import Server

DEVICES = "where type =~ 'Microsoft.DeviceRegistry/namespaces/devices'"


def client(server: Server) -> ResourceGraphClient:
    owner, url = server.owner, server.url
    credential = ClientSecretCredential(
        owner["tenantId"],
        owner["clientId"],
        owner["clientSecret"],
        authority=url,
        disable_instance_discovery=True,
        connection_verify=server.ca,
    )
    return ResourceGraphClient(credential, base_url=url, credential_scopes=[f"{url}/.default"], connection_verify=server.ca)


@pytest.fixture(scope="module")
def graph(server: Server) -> ResourceGraphClient:
    return client(server)


@pytest.fixture(scope="module")
def pumps(arm: Arm, plant: Plant) -> Iterator[list[str]]:
    """Five devices of the shared namespace."""
    made = []
    for number in range(5):
        device = f"{plant.namespace}/devices/graph-{number}"
        arm.put(
            device,
            versions.REGISTRY,
            {
                "location": "westeurope",
                "tags": {"line": "AB"[number % 2]},
                "properties": {"enabled": number != 0, "attributes": {"floor": number}},
            },
        )
        made.append(device)
    yield made
    for device in made:
        arm.delete(device, versions.REGISTRY)


def ask(graph: ResourceGraphClient, query: str, **more: Any) -> Any:
    return graph.resources(QueryRequest(query=query, **more))


def test_resources_of_every_type_are_found(graph: ResourceGraphClient, plant: Plant, server: Server) -> None:
    found = ask(graph, "Resources | project id, name, type, tenantId, location, properties | order by id asc", subscriptions=[server.owner["subscriptionId"]])
    assert found.total_records >= found.count > 3 and found.result_truncated == "false"
    types = {row["type"] for row in found.data}
    assert {"microsoft.devices/iothubs", "microsoft.deviceregistry/namespaces", "microsoft.devices/provisioningservices"} <= types
    assert all(row["tenantId"] == server.owner["tenantId"] for row in found.data)
    groups = ask(graph, "ResourceContainers | where type =~ 'microsoft.resources/subscriptions/resourcegroups' | project name")
    assert plant.group.rsplit("/", 1)[-1].lower() in {row["name"].lower() for row in groups.data}


def test_a_query_sees_the_write_just_made(graph: ResourceGraphClient, arm: Arm, plant: Plant, pumps: list[str]) -> None:
    one = f"Resources | where id =~ '{pumps[1].upper()}' | project tags.line, properties.enabled, properties.attributes.floor"
    assert ask(graph, one).data == [{"tags_line": "B", "properties_enabled": True, "properties_attributes_floor": 1}]
    arm.call("PATCH", pumps[1], versions.REGISTRY, {"tags": {"line": "Z"}})
    assert ask(graph, one).data[0]["tags_line"] == "Z"
    summary = f"Resources | {DEVICES} and name startswith 'graph-' | summarize n = count(), high = max(toint(properties.attributes.floor)) by enabled = tostring(properties.enabled) | order by enabled asc"
    assert ask(graph, summary).data == [{"enabled": "false", "n": 1, "high": 0}, {"enabled": "true", "n": 4, "high": 4}]
    joined = (
        f"Resources | {DEVICES} and name == 'graph-2' | extend group = resourceGroup, sub = subscriptionId"
        " | join kind=leftouter (ResourceContainers | where type =~ 'microsoft.resources/subscriptions' | project sub = subscriptionId, subscription = name) on sub"
        " | project name, subscription"
    )
    assert ask(graph, joined).data == [{"name": "graph-2", "subscription": "Ferrohub"}]


def test_pages_tables_and_facets(graph: ResourceGraphClient, pumps: list[str]) -> None:
    query = f"Resources | {DEVICES} and name startswith 'graph-' | project id, name"
    names, token = [], None
    while True:
        page = ask(graph, query, options=QueryRequestOptions(top=2, skip_token=token))
        names += [row["name"] for row in page.data]
        token = page.skip_token
        if not token:
            break
    assert sorted(names) == [f"graph-{number}" for number in range(5)]
    table = ask(graph, query + " | take 1", options=QueryRequestOptions(result_format="table")).data
    assert [column["name"] for column in table["columns"]] == ["id", "name"]
    assert table["columns"][0]["type"] == "string" and len(table["rows"]) == 1
    facets = ask(
        graph,
        f"Resources | {DEVICES} and name startswith 'graph-'",
        facets=[FacetRequest(expression="location", options=FacetRequestOptions(sort_by="count", sort_order="desc", top=5))],
    ).facets
    assert facets[0].result_type == "FacetResult" and facets[0].data == [{"location": "westeurope", "count": 5}]


@pytest.mark.parametrize(
    ("query", "code", "token"),
    [
        ("Resources | evaluate bag_unpack(tags)", "InvalidQueryLanguage", "evaluate"),
        ("Resources | where foo(name)", "InvalidQueryLanguage", "foo"),
        ("Resources | where name == ", "ParserFailure", "<EOF>"),
    ],
)
def test_what_is_not_supported_is_named(graph: ResourceGraphClient, query: str, code: str, token: str) -> None:
    with pytest.raises(HttpResponseError) as refused:
        ask(graph, query)
    assert refused.value.status_code == 400
    error = json.loads(refused.value.response.text())["error"]
    assert error["code"] == "BadRequest" and error["details"][0]["code"] == "InvalidQuery"
    last = error["details"][-1]
    assert (last["code"], last["token"], last["line"]) == (code, token, 1) and last["characterPositionInLine"] > 12


def test_a_query_that_would_go_on_for_ever_ends(graph: ResourceGraphClient) -> None:
    rows = "Resources | extend one = 1 | mv-expand a = dynamic([" + ",".join(["1"] * 400) + "]) limit 400"
    query = f"{rows} | join kind=inner ({rows}) on one | join kind=inner ({rows}) on one | summarize count()"
    with pytest.raises(HttpResponseError) as refused:
        ask(graph, query)
    assert refused.value.status_code == 400 and "QueryLimitExceeded" in refused.value.response.text()
    assert ask(graph, "Resources | count").data[0]["Count"] > 0


def test_az_rest_asks(server: Server) -> None:
    body = {"query": "ResourceContainers | project name | order by name asc"}
    url = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"
    answer = server.az("rest", "--method", "post", "--url", url, "--body", json.dumps(body))
    assert {"name": "Ferrohub"} in answer["data"]
