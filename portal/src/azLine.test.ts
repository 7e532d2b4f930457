import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { azLine, shellWord, tagWords } from "./azLine";

test("a line has its options in order, and leaves out what is not set", () => {
  expect(azLine("group create", { name: "plant", location: "west europe", tags: ["a=b c"], yes: true, force: false, x: undefined })).toBe(
    "az group create --name plant --location 'west europe' --tags 'a=b c' --yes",
  );
  expect(tagWords({})).toBeUndefined();
});

test("a shell reads back each word as it was", () => {
  const hostile = ["$(id)", "`id`", "a'b", 'a"b', "a\\b", "a;b", "a\nb", "*", "~", "", "--x", "\u202Eabc", "a b", "!x", "&&", "#c", "<img src=x>"];
  const words = hostile.map(shellWord).join(" ");
  const out = execFileSync("sh", ["-c", `for w in ${words}; do printf '%s\\0' "$w"; done`]).toString();
  expect(out.split("\0").slice(0, -1)).toEqual(hostile);
});
