import { expect, test } from "vitest";
import { forgetKept, keepOnlyOf } from "./kept";

function store(entries: Record<string, string>) {
  const held = new Map(Object.entries(entries));
  return {
    held,
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
    removeItem: (key: string) => void held.delete(key),
    clear: () => held.clear(),
  };
}

const keptInWindow = { "ferrohub.deployments": "[1]", "ferrohub.form.x": "{}" };
const keptInBrowser = { "ferrohub.recent": "[]", "ferrohub.theme": "dark" };

test("the same person finds what was kept, another one nothing of it", () => {
  const [ofWindow, ofBrowser] = [store({ ...keptInWindow, "ferrohub.owner": "a" }), store({ ...keptInBrowser, "ferrohub.owner": "a" })];
  keepOnlyOf("a", ofWindow, ofBrowser);
  expect([ofWindow.held.size, ofBrowser.held.size]).toEqual([3, 3]);
  keepOnlyOf("b", ofWindow, ofBrowser);
  expect(Object.fromEntries(ofWindow.held)).toEqual({ "ferrohub.owner": "b" });
  expect(Object.fromEntries(ofBrowser.held)).toEqual({ "ferrohub.theme": "dark", "ferrohub.owner": "b" });
});

test("what nobody is known to own goes; a new window of the same person keeps what the browser has", () => {
  const [ofWindow, ofBrowser] = [store(keptInWindow), store({ ...keptInBrowser, "ferrohub.owner": "a" })];
  keepOnlyOf("a", ofWindow, ofBrowser);
  expect(Object.fromEntries(ofWindow.held)).toEqual({ "ferrohub.owner": "a" });
  expect(ofBrowser.held.has("ferrohub.recent")).toBe(true);
});

test("signing out leaves the theme", () => {
  const [ofWindow, ofBrowser] = [store(keptInWindow), store({ ...keptInBrowser, "ferrohub.owner": "a" })];
  forgetKept(ofWindow, ofBrowser);
  expect([ofWindow.held.size, [...ofBrowser.held.keys()]]).toEqual([0, ["ferrohub.theme"]]);
});
