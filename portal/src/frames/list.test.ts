import { expect, test } from "vitest";
import { Continuations, listName, placeOf } from "./continuations";
import { rowsOf } from "./exportRows";
import { absence, cut, graphText, whole, type Source } from "./listSource";
import type { ListQuery } from "./listState";

const QUERY: ListQuery = { filter: "", facets: {}, sort: undefined, page: 0, size: 2 };
const COLUMNS = [{ id: "n", text: (row: { n: string; s: string }) => row.n }];
const ROWS = ["b10", "B2", "a", "c"].map((n) => ({ n, s: n === "c" ? "Off" : "On" }));

test("rows that are here are filtered, sorted as people count, and paged", () => {
  const sorted = cut(ROWS, COLUMNS, [], { ...QUERY, sort: { column: "n", down: false } });
  expect([sorted.rows.map((row) => row.n), sorted.total, sorted.more]).toEqual([["a", "B2"], 4, true]);
  expect(cut(ROWS, COLUMNS, [], { ...QUERY, page: 1 }).rows.map((row) => row.n)).toEqual(["a", "c"]);
  expect(cut(ROWS, COLUMNS, [], { ...QUERY, filter: "B" }).total).toBe(2);
  expect(cut(ROWS, COLUMNS, [{ id: "s", value: (row) => row.s }], { ...QUERY, facets: { s: "off" } }).total).toBe(1);
  expect(cut(ROWS, COLUMNS, [], { ...QUERY, page: 9 }).rows).toEqual([]);
});

test("what the address says becomes a query, and nothing but known columns", () => {
  const query = { ...QUERY, filter: "x'y", facets: { location: "west", "; drop": "z" }, sort: { column: "name", down: true } };
  expect(graphText("resources", "name", { name: "name", location: "location" }, "name", query)).toBe(
    "resources | where name contains 'x\\'y' | where location =~ 'west' | order by name desc",
  );
  expect(graphText("resources", "name", {}, "name", { ...QUERY, sort: { column: "evil | x", down: false } })).toBe("resources | order by name asc");
});

function memory(): { held: Map<string, string>; storage: () => Pick<Storage, "getItem" | "setItem"> } {
  const held = new Map<string, string>();
  return { held, storage: () => ({ getItem: (key) => held.get(key) ?? null, setItem: (key, value) => void held.set(key, value) }) };
}

test("a page by continuation is found again after a reload, and where nobody knows it the first one is shown and told", () => {
  const source = { kind: "continued" as const, key: ["devices", "h.x"] };
  const { storage } = memory();
  const at = (page: number, filter = ""): ListQuery => ({ ...QUERY, page, filter });
  new Continuations(storage).keep(listName(source.key, at(0)), 1, "after-1");
  const again = new Continuations(storage);
  expect(placeOf(source, at(1), again)).toEqual({ query: at(1), after: "after-1", lost: false });
  expect(placeOf(source, at(0), again)).toEqual({ query: at(0), after: undefined, lost: false });
  expect(placeOf(source, at(2), again)).toEqual({ query: at(0), after: undefined, lost: true });
  expect(placeOf(source, at(1, "x"), again)).toMatchObject({ lost: true });
  expect(placeOf({ ...source, key: ["devices", "other"] }, at(1), again)).toMatchObject({ lost: true });
  expect(placeOf({ kind: "server", key: source.key }, at(7), again)).toEqual({ query: at(7), after: undefined, lost: false });
});

test("continuations have a limit, and a storage that holds something else or nothing is no fault", () => {
  const { held, storage } = memory();
  const all = new Continuations(storage);
  for (let list = 0; list < 50; list += 1) for (let page = 1; page < 4; page += 1) all.keep(`list ${list}`, page, "t");
  expect([all.of("list 49", 3), all.of("list 0", 1)]).toEqual(["t", undefined]);
  expect((JSON.parse([...held.values()][0] ?? "") as unknown[]).length).toBe(20);
  held.set("ferrohub.continuations", "{");
  expect(new Continuations(storage).of("list 49", 3)).toBeUndefined();
  const full = new Continuations(() => ({ getItem: () => null, setItem: () => { throw new Error("full"); } }));
  full.keep("l", 1, "t");
  expect(full.of("l", 1)).toBe("t");
});

test.each([
  [{ rows: [1], total: undefined, more: false }, 0, false, undefined],
  [{ rows: [], total: undefined, more: false }, 0, false, "empty"],
  [{ rows: [], total: 0, more: false }, 0, false, "empty"],
  [{ rows: [], total: 0, more: false }, 0, true, "nothing"],
  [{ rows: [], total: undefined, more: true }, 0, true, "more"],
  [{ rows: [], total: undefined, more: true }, 3, false, "more"],
  [{ rows: [], total: undefined, more: false }, 3, false, undefined],
  [{ rows: [], total: 60, more: false }, 9, false, undefined],
])("what stands for %j on page %i, filtered %s", (view, page, filtered, told) => {
  expect(absence(view, page, filtered)).toBe(told);
});

/** A source of so many rows, and the pages that were asked of it. */
function counted(kind: "server" | "continued", count: number): { source: Source<number>; asked: [page: number, after: string | undefined, size: number][] } {
  const asked: [number, string | undefined, number][] = [];
  const all = Array.from({ length: count }, (_, at) => at);
  const load = async ({ page, size }: ListQuery, after: string | undefined) => {
    asked.push([page, after, size]);
    const begin = kind === "server" ? page * size : Number(after ?? 0);
    const more = begin + size < count;
    return { rows: all.slice(begin, begin + size), total: undefined, more, next: more ? String(begin + size) : undefined };
  };
  return { source: { key: [kind], kind, load }, asked };
}

test("an export has all rows that the filters leave, whatever page is shown, and says where it stops", async () => {
  const { signal } = new AbortController();
  const third = { ...QUERY, page: 3, filter: "B" };
  const here = whole(["here"], async () => ({ rows: ROWS, more: true }));
  expect(await rowsOf({ source: here, columns: COLUMNS.map((column) => ({ ...column, label: "" })) }, third, signal)).toEqual({ rows: [ROWS[0], ROWS[1]], more: true });
  const server = counted("server", 2500);
  const all = await rowsOf({ source: server.source, columns: [] }, third, signal);
  expect([all.rows.length, all.rows.at(-1), all.more, server.asked.map(([page]) => page)]).toEqual([2500, 2499, false, [0, 1, 2]]);
  const hub = counted("continued", 250);
  expect((await rowsOf({ source: hub.source, columns: [] }, third, signal)).rows.at(-1)).toBe(249);
  expect(hub.asked).toEqual([[0, undefined, 100], [1, "100", 100], [2, "200", 100]]);
  expect(await rowsOf({ source: counted("continued", 250).source, columns: [] }, third, signal, 150)).toMatchObject({ more: true });
  expect((await rowsOf({ source: counted("server", 5000).source, columns: [] }, third, signal)).more).toBe(false);
});
