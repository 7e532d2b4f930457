import { expect, test } from "vitest";
import { rowsAfter, tagChanges } from "./tagEdits";

test("changes of a subscription's tags name what was set and what was removed, and nothing else", () => {
  expect(tagChanges({ a: "1", b: "2", c: "3" }, { a: "1", b: "9", d: "4" })).toEqual([
    { operation: "Delete", tags: { c: "3" } },
    { operation: "Merge", tags: { b: "9", d: "4" } },
  ]);
  expect(tagChanges({ Site: "x" }, { site: "x" }).map((change) => change.operation)).toEqual(["Delete", "Merge"]);
  expect(tagChanges({ a: "" }, { a: "" })).toEqual([]);
  expect(tagChanges({ constructor: "x" }, {})).toEqual([{ operation: "Delete", tags: { constructor: "x" } }]);
});

test("what was typed while a write was under way stays, half a tag included, and what others set is there", () => {
  const sent = [{ name: "a", value: "1" }, { name: "b", value: "2" }, { name: "gone", value: "3" }];
  const now = [{ name: "a", value: "1x" }, { name: "b", value: "2" }, { name: "ne", value: "" }];
  expect(rowsAfter(now, sent, { a: "1", b: "2", gone: "3" })).toEqual(now);
  expect(rowsAfter(now, sent, { a: "1", b: "theirs", gone: "3", other: "o" })).toEqual([now[0], { name: "b", value: "theirs" }, now[2], { name: "other", value: "o" }]);
  expect(rowsAfter(sent, sent, { a: "1" })).toEqual([sent[0]]);
});
