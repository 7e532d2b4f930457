import { afterEach, expect, test, vi } from "vitest";
import { Fault } from "../api/fault";
import { useTokens } from "../api/http";
import { exactFinder, fittingChoices } from "./finders";
import { graphFinder, namedFinder } from "./resourceFinders";

afterEach(() => vi.unstubAllGlobals());

const signal = new AbortController().signal;
const choice = (value: string, label = value) => ({ value, label });

test("what the server finds stands behind what was read, and nothing twice", () => {
  const here = [choice("/NS/a", "a"), choice("/NS/b", "b")];
  expect(fittingChoices(here, [], " B ")).toEqual([choice("/NS/b", "b")]);
  expect(fittingChoices(here, [choice("/ns/A", "a"), choice("/ns/ab", "ab")], "a")).toEqual([choice("/NS/a", "a"), choice("/ns/ab", "ab")]);
});

test("a name of which only the whole is known is asked for; none there is no fault, no right to look is one", async () => {
  const finder = exactFinder(["x"], async (text) => {
    if (text !== "here") throw new Fault({ status: text === "hidden" ? 403 : 404, code: "x", message: "x" });
    return choice(text);
  });
  expect(finder.exact).toBe(true);
  expect(await finder.find("here", signal)).toEqual([choice("here")]);
  expect(await finder.find("gone", signal)).toEqual([]);
  await expect(finder.find("hidden", signal)).rejects.toMatchObject({ status: 403 });
});

test("a part of a name is a text of the query and nothing else; a name is one segment", async () => {
  useTokens({ bearer: async () => "t" });
  const asked: { path: string; body: string }[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    asked.push({ path, body: String(init.body ?? "") });
    return path.includes("ResourceGraph") ? Response.json({ totalRecords: 1, data: [{ name: "plant" }] }) : Response.json({ name: "p" });
  });
  expect(await graphFinder<{ name: string }>("resources", (row) => choice(row.name)).find("p' | x", signal)).toEqual([choice("plant")]);
  expect(JSON.parse(asked[0]?.body ?? "")).toMatchObject({ query: "resources | where name contains 'p\\' | x' | order by name asc" });
  expect(await namedFinder("/subscriptions/s/resourceGroups/g/providers/Microsoft.DeviceRegistry/namespaces/n/credentials/default/policies", (row) => choice(row.name)).find("a/../b?", signal)).toEqual([]);
  expect(asked).toHaveLength(1);
});
