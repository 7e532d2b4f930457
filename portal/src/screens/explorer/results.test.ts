import { expect, test } from "vitest";
import { barsOf, cellText, columnsOf, countBy } from "./results";

test("cells and columns", () => {
  expect([null, undefined, 7, "<b>", true, { a: [1] }].map(cellText)).toEqual(["", "", "7", "<b>", "true", '{"a":[1]}']);
  expect(columnsOf([{ a: 1 }, { b: 2, a: 3 }])).toEqual(["a", "b"]);
});

test("bars: the largest first, the small ones together", () => {
  const rows = [{ hub: "a", status: "enabled", count_: 2 }, { hub: "b", status: "enabled", count_: 5 }, { hub: "c", status: "disabled", count_: 1 }];
  expect(barsOf(rows, 10, "rest")).toEqual([{ label: "b, enabled", value: 5 }, { label: "a, enabled", value: 2 }, { label: "c, disabled", value: 1 }]);
  expect(barsOf(rows, 2, "rest")).toEqual([{ label: "b, enabled", value: 5 }, { label: "rest", value: 3 }]);
  expect(barsOf([{ name: "a" }], 10, "rest")).toBeUndefined();
  expect(barsOf([{ count_: 3 }], 10, "rest")).toBeUndefined();
  expect(barsOf([], 10, "rest")).toBeUndefined();
});

test("counts by month and day", () => {
  const times = ["2026-12-29T04:00:00Z", "2027-01-01T00:00:00Z", "2026-12-01T00:00:00Z"];
  expect(countBy(times, 7)).toEqual([{ label: "2026-12", value: 2 }, { label: "2027-01", value: 1 }]);
  expect(countBy(times, 10).map((bar) => bar.label)).toEqual(["2026-12-01", "2026-12-29", "2027-01-01"]);
});
