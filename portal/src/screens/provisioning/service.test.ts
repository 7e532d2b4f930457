import { expect, test } from "vitest";
import type { Resource } from "../../api/arm";
import { putStep } from "../../api/putBack";
import { authenticationText, linkedHubs, linkState, weightFault, withHubs, withNamespace, withoutNamespace } from "./service";

const ONE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one";
const TWO = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/two";
const SERVICE: Resource = {
  id: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/d",
  name: "d",
  type: "Microsoft.Devices/provisioningServices",
  location: "westeurope",
  tags: { a: "1" },
  etag: "e1",
  identity: { type: "UserAssigned", userAssignedIdentities: { [ONE]: { principalId: "p", clientId: "c" } } },
  properties: {
    allocationPolicy: "Hashed",
    iotHubs: [
      { name: "a.x", connectionString: "HostName=a.x;SharedAccessKeyName=iothubowner;SharedAccessKey=****", authenticationType: "KeyBased", allocationWeight: 1 },
      { name: "b.x", hostName: "b.x", authenticationType: "SystemAssigned" },
    ],
  },
};

test("a namespace is linked by an identity that the service has, or gets", () => {
  const there = withNamespace(SERVICE, "/ns", ONE.toUpperCase());
  expect(Object.keys(there.identity?.userAssignedIdentities ?? {})).toEqual([ONE]);
  const both = withNamespace(SERVICE, "/ns", TWO);
  expect(both.identity).toEqual({ type: "UserAssigned", userAssignedIdentities: { [ONE]: {}, [TWO]: {} } });
  expect(both.properties["deviceRegistryNamespace"]).toEqual({ resourceId: "/ns", authenticationType: "UserAssigned", selectedUserAssignedIdentityResourceId: TWO });
  expect(both.properties["iotHubs"]).toEqual(SERVICE.properties?.["iotHubs"]);
  expect(withoutNamespace(SERVICE).properties["deviceRegistryNamespace"]).toBeNull();
});

test("links are changed, taken away and added; the others keep their masked key", () => {
  const sent = withHubs(SERVICE, (link) => (link.name === "b.x" ? undefined : { ...link, allocationWeight: 7 }), [{ name: "c.x" }]);
  expect(sent.properties["iotHubs"]).toEqual([{ ...linkedHubs(SERVICE)[0], allocationWeight: 7 }, { name: "c.x" }]);
  expect(linkedHubs(SERVICE).map(authenticationText)).toEqual(["iothubowner", "System-assigned identity"]);
  expect(["0", "1", "1000"].map(weightFault)).toEqual([undefined, undefined, undefined]);
  expect(["", "-1", "1001", "1.5"].map((text) => weightFault(text) === undefined)).toEqual([false, false, false, false]);
});

test("a document goes back against the ETag that was read", () => {
  const step = putStep("x", SERVICE, withoutNamespace(SERVICE));
  expect(step.headers).toEqual({ "If-Match": '"e1"' });
  expect(step.body).toMatchObject({ location: "westeurope", tags: { a: "1" }, identity: { type: "UserAssigned", userAssignedIdentities: { [ONE]: {} } } });
});

test.each([
  [true, false, "hub there"],
  [false, false, "hub gone, or you may not see it"],
  [undefined, false, ""],
  [undefined, true, "Not known"],
])("a hub that is seen: %s, read in vain: %s", (seen, failed, text) => {
  expect(linkState(seen, failed)).toBe(text);
});
