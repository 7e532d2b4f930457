import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : /\.tsx?$/.test(path) && !/\.test\./.test(path) ? [path] : [];
  });
}

/** First words of keys under which something is read: of queries, and of the sources of lists. */
const READ = [/queryKey: \[\s*"([^"]+)"[^\n]*[,\n]\s*(?:queryFn|$)/gm, /\b(?:whole|graphSource(?:<\w+>)?)\(\s*\[\s*"([^"]+)"/g, /^\s*key: \[\s*"([^"]+)"/gm];

// Two readings under one key show each other's answer.
test("a key of the cache is written in one place", () => {
  const places = new Map<string, string[]>();
  for (const path of sources(ROOT)) {
    const text = readFileSync(path, "utf8");
    for (const [at, pattern] of READ.entries()) {
      for (const found of text.matchAll(pattern)) {
        const name = `${at === 0 ? "" : "list "}${found[1]}`;
        if (at === 0 && !text.slice(found.index, found.index + 400).includes("queryFn")) continue;
        places.set(name, [...(places.get(name) ?? []), path.slice(ROOT.length + 1)]);
      }
    }
  }
  expect(places.size).toBeGreaterThan(30);
  expect([...places].filter(([, paths]) => paths.length > 1)).toEqual([]);
});
