import { expect, test } from "vitest";
import { patched, patchOf, readPart, rebased, written } from "./twinRules";

const deep = (levels: number): string => '{"a":'.repeat(levels) + "1" + "}".repeat(levels);

test.each([
  ["{}", undefined],
  ["", undefined],
  ['{"site": 7, "a": {"b": [1, "x", {"c": true}]}}', undefined],
  [deep(10), undefined],
  [deep(11), "nested deeper than 10 levels"],
  ["[]", "'tags' is a JSON object."],
  ["7", "'tags' is a JSON object."],
  ['{"a": null}', "The value at 'tags.a' is null"],
  ['{"a.b": 1}', "The key 'a.b' in 'tags'"],
  ['{"$a": 1}', "The key '$a' in 'tags'"],
  ['{"": 1}', "A key in 'tags' has 0 bytes"],
  [`{"a": "${"x".repeat(4097)}"}`, "The text at 'tags.a' has 4097 bytes; at most 4096 are allowed."],
  [`{"a": ["${"x".repeat(4000)}", "${"y".repeat(4000)}", "${"z".repeat(400)}"]}`, "'tags' would have"],
  ['{"a": 4503599627370496}', "The integer at 'tags.a' is outside"],
  ['{"a": -4503599627370496, "b": 1e300}', undefined],
  ['{"a": [1, null]}', "The item 'tags.a[1]' is null"],
  ['{\n"a": 1,\n"b" 2}', "Line 3 is no JSON"],
] as [string, string | undefined][])("%.60s", (text, fault) => {
  const read = readPart("tags", text);
  if (fault === undefined) expect(read.fault).toBeUndefined();
  else expect(read.fault).toContain(fault);
});

test("a patch says what changed, and takes away what is gone", () => {
  const before = { a: 1, b: { c: 1, d: 2 }, e: [1, 2], gone: true };
  const after = { a: 1, b: { c: 3, d: 2 }, e: [2], new: "x" };
  expect(patchOf(before, after)).toEqual({ gone: null, b: { c: 3 }, e: [2], new: "x" });
  expect(patchOf(before, before)).toEqual({});
  expect(patchOf({ a: { b: 1 } }, { a: 7 })).toEqual({ a: 7 });
});

test("what the server keeps beside is left out", () => {
  expect(written({ a: 1, $metadata: {}, $version: 3 })).toEqual({ a: 1 });
  expect(written(undefined)).toEqual({});
});

test("a change goes onto what somebody else made meanwhile: what is theirs stays", () => {
  const before = { site: 1, gone: true, deep: { a: 1, b: 2 } };
  const mine = { site: 2, deep: { a: 1, b: 3 } };
  const theirs = { site: 1, gone: true, deep: { a: 9, b: 2 }, by: "them" };
  expect(rebased(before, mine, theirs)).toEqual({ site: 2, deep: { a: 9, b: 3 }, by: "them" });
  expect(rebased(before, before, theirs)).toEqual(theirs);
  expect(patched({ a: 1 }, { a: { b: 1, c: null } })).toEqual({ a: { b: 1 } });
  expect(theirs.by).toBe("them");
});
