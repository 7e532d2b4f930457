import { expect, test } from "vitest";
import { cell, csv } from "./csv";

test("no cell is a formula, and none ends early", () => {
  expect(["=1+1", "+1", "-1", "@x", "\tx", "a,b", 'a"b', "a\nb", "plain"].map(cell)).toEqual(["'=1+1", "'+1", "'-1", "'@x", "'\tx", '"a,b"', '"a""b"', '"a\nb"', "plain"]);
  expect(cell('=HYPERLINK("x")')).toBe('"\'=HYPERLINK(""x"")"');
  expect(csv([["a", "b"], ["1", "2"]])).toBe("a,b\r\n1,2\r\n");
});
