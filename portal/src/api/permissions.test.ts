import { expect, test } from "vitest";
import { allows, covers, roleFor } from "./permissions";

test.each([
  ["*", "Microsoft.Devices/IotHubs/read", true],
  ["*/read", "Microsoft.Devices/IotHubs/read", true],
  ["*/read", "Microsoft.Devices/IotHubs/write", false],
  ["microsoft.devices/*", "Microsoft.Devices/IotHubs/certificates/write", true],
  ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/roleAssignments/write", true],
  ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/write", false],
  ["a/*/b", "a/b", false],
  ["Microsoft.Devices/IotHubs/read", "Microsoft.Devices/IotHubs/read/x", false],
])("%s covers %s: %s", (pattern, action, good) => {
  expect(covers(pattern as string, action as string)).toBe(good);
});

test("a not takes from its own entry only, and actions give no data actions", () => {
  const contributor = { actions: ["*"], notActions: ["Microsoft.Authorization/*/Write"] };
  const action = "Microsoft.Authorization/roleAssignments/write";
  expect(allows([contributor], action)).toBe(false);
  expect(allows([contributor, { actions: [action] }], action)).toBe(true);
  expect(allows([contributor], "Microsoft.Devices/IotHubs/devices/read", true)).toBe(false);
  expect(allows([], "x")).toBe(false);
});

test("the role that is proposed is a narrow one", () => {
  expect(roleFor("Microsoft.Devices/IotHubs/read")).toBe("Reader");
  expect(roleFor("Microsoft.Authorization/roleAssignments/write")).toBe("Role Based Access Control Administrator");
  expect(roleFor("Microsoft.Devices/IotHubs/devices/read", true)).toBe("IoT Hub Data Reader");
});
