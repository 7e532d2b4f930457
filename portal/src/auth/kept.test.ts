import { expect, test } from "vitest";
import { forgetKept, keepOnlyOf, keepOwn, readOwn } from "./kept";

function store(entries: Record<string, string>) {
  const held = new Map(Object.entries(entries));
  return {
    held,
    get length() {
      return held.size;
    },
    key: (at: number) => [...held.keys()][at] ?? null,
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
    removeItem: (key: string) => void held.delete(key),
    clear: () => held.clear(),
  };
}

const keptInWindow = { "ferrohub.deployments": "[1]", "ferrohub.form.x": "{}" };
const keptInBrowser = { "ferrohub.recent.a": "[]", "ferrohub.last-region.a": "westeurope", "ferrohub.theme": "dark" };

test("the same person finds what was kept, another one nothing of it", () => {
  const [ofWindow, ofBrowser] = [store({ ...keptInWindow, "ferrohub.owner": "a" }), store(keptInBrowser)];
  keepOnlyOf("a", ofWindow, ofBrowser);
  expect([ofWindow.held.size, ofBrowser.held.size]).toEqual([3, 3]);
  keepOnlyOf("b", ofWindow, ofBrowser);
  expect(Object.fromEntries(ofWindow.held)).toEqual({ "ferrohub.owner": "b" });
  expect(Object.fromEntries(ofBrowser.held)).toEqual({ "ferrohub.theme": "dark" });
});

test("what nobody is known to own goes; a new window of the same person keeps what the browser has", () => {
  const [ofWindow, ofBrowser] = [store(keptInWindow), store({ ...keptInBrowser, "ferrohub.recent": "[]", "ferrohub.owner": "a" })];
  keepOnlyOf("a", ofWindow, ofBrowser);
  expect(Object.fromEntries(ofWindow.held)).toEqual({ "ferrohub.owner": "a" });
  expect(Object.fromEntries(ofBrowser.held)).toEqual(keptInBrowser);
});

test("two who are signed in in windows of one browser keep apart, whoever writes last", () => {
  const [ofAnn, ofBob, ofBrowser] = [store({}), store({}), store({})];
  keepOnlyOf("ann", ofAnn, ofBrowser);
  keepOwn("ferrohub.recent", "of ann", ofBrowser);
  keepOnlyOf("bob", ofBob, ofBrowser);
  expect(readOwn("ferrohub.recent", ofBrowser)).toBeNull();
  keepOwn("ferrohub.recent", "of bob", ofBrowser);
  // Ann's window is still open and goes on.
  keepOnlyOf("ann", ofAnn, store({}));
  expect(readOwn("ferrohub.recent", ofBrowser)).toBeNull();
  keepOwn("ferrohub.recent", "of ann again", ofBrowser);
  forgetKept(ofAnn, ofBrowser);
  expect(Object.fromEntries(ofBrowser.held)).toEqual({ "ferrohub.recent.bob": "of bob" });
});

test("signing out leaves the theme; a storage that is full loses nothing else", () => {
  const [ofWindow, ofBrowser] = [store(keptInWindow), store(keptInBrowser)];
  keepOnlyOf("a", ofWindow, ofBrowser);
  keepOwn("ferrohub.recent", "[1]", { setItem: () => { throw new Error("QuotaExceededError"); } });
  expect(readOwn("ferrohub.recent", ofBrowser)).toBe("[]");
  forgetKept(ofWindow, ofBrowser);
  expect([ofWindow.held.size, [...ofBrowser.held.keys()]]).toEqual([0, ["ferrohub.theme"]]);
});
