import { expect, test } from "vitest";
import { azLines, bodyOf, fieldOf, FIRST, partitionsFault } from "./createHub";

const NAMESPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.DeviceRegistry/namespaces/n";
const IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i";
const VALUES = { ...FIRST, name: "hub1", group: "plant 7", location: "westeurope", namespace: NAMESPACE, identity: IDENTITY };

test("the document links the namespace by the identity", () => {
  expect(bodyOf(VALUES, { site: "7" })).toEqual({
    location: "westeurope",
    tags: { site: "7" },
    sku: { name: "GEN2", capacity: 1 },
    identity: { type: "UserAssigned", userAssignedIdentities: { [IDENTITY]: {} } },
    properties: {
      deviceRegistry: { namespaceResourceId: NAMESPACE, identityResourceId: IDENTITY },
      minTlsVersion: "1.2",
      disableLocalAuth: false,
      publicNetworkAccess: "Enabled",
      eventHubEndpoints: { events: { retentionTimeInDays: 1, partitionCount: 4 } },
    },
  });
  expect(bodyOf({ ...VALUES, namespace: "", identity: "" }, {})).toMatchObject({ identity: { type: "None" } });
});

test("lines of az", () => {
  const [line, assign] = azLines(VALUES, {}, { id: "/hub", principal: "me" });
  expect(line).toContain("az iot hub create --name hub1 --resource-group 'plant 7' --location westeurope --sku GEN2 --partition-count 4");
  expect(line).toContain(`--mi-user-assigned ${IDENTITY} --ns-resource-id ${NAMESPACE} --ns-identity-id ${IDENTITY}`);
  expect(assign).toContain("--role 'IoT Hub Data Contributor' --scope /hub");
  expect(azLines({ ...VALUES, newGroup: true }, {}, undefined)[0]).toContain("az group create --name 'plant 7'");
});

test.each([
  ["properties.deviceRegistry.namespaceResourceId", "namespace"],
  ["properties.deviceRegistry.identity", "identity"],
  ["properties.deviceRegistry.identityResourceId", "identity"],
  ["identity.userAssignedIdentities", "identity"],
  ["sku.name", "tier"],
  ["properties.eventHubEndpoints.events.partitionCount", "partitions"],
  ["location", "location"],
  ["properties.comments", undefined],
])("a refusal of %s is shown at %s", (target, field) => {
  expect(fieldOf(target)).toBe(field);
});

test.each([["1", true], ["32", true], ["0", false], ["33", false], ["1.5", false], ["", false], ["x", false]])("%s partitions", (text, good) => {
  expect(partitionsFault(text) === undefined).toBe(good);
});
