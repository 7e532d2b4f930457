import { expect, test } from "vitest";
import { armPath } from "./arm";
import { quote } from "./graphQuery";
import { pageOf, parseId, splitId } from "./resourceId";

const NS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.DeviceRegistry/namespaces/n";

test("ids are taken apart, with the blade behind them", () => {
  expect(splitId(`${NS}/credentials/default/policies/p/iam`)).toMatchObject({
    id: { type: "Microsoft.DeviceRegistry/namespaces/credentials/policies", name: "p", parent: `${NS}/credentials/default`, group: "g", subscription: "s" },
    rest: ["iam"],
  });
  expect(splitId("/subscriptions/s/iam")).toMatchObject({ id: { type: "Microsoft.Resources/subscriptions", name: "s" }, rest: ["iam"] });
  expect(splitId("/subscriptions/s/resourceGroups/g")).toMatchObject({ id: { name: "g", parent: "/subscriptions/s" }, rest: [] });
  expect(parseId("nonsense")).toBeUndefined();
  expect(parseId("")).toBeUndefined();
});

test("what stands in a name stays in its segment", () => {
  const id = "/subscriptions/s/resourceGroups/a?b#c d";
  expect(pageOf(id, "tags")).toBe("/resource/subscriptions/s/resourceGroups/a%3Fb%23c%20d/tags");
  expect(armPath(`${NS}/credentials/default/policies`)).toMatch(/policies\?api-version=2026-03-01-preview$/);
  expect(armPath(`${NS}/providers/Microsoft.Authorization/locks`)).toMatch(/api-version=2020-05-01$/);
  expect(armPath(id, "v")).toBe("/subscriptions/s/resourceGroups/a%3Fb%23c%20d?api-version=v");
});

test("nothing ends a text of KQL", () => {
  expect(quote("a' | where 1==1 //")).toBe("'a\\' | where 1==1 //'");
  expect(quote("a\\")).toBe("'a\\\\'");
  expect(quote("a\nb")).toBe("'a\\nb'");
});
