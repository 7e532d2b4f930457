import { expect, test } from "vitest";
import { placeAfter } from "./gridKeys";

const WIDTHS = [3, 3, 3, 1];

test("keys lead from cell to cell and not out of the grid", () => {
  const from = (row: number, column: number, key: string, ctrl = false) => {
    const to = placeAfter(key, ctrl, { row, column }, WIDTHS);
    return to && [to.row, to.column];
  };
  expect(from(0, 0, "ArrowRight")).toEqual([0, 1]);
  expect(from(0, 0, "ArrowLeft")).toEqual([0, 0]);
  expect(from(0, 0, "ArrowUp")).toEqual([0, 0]);
  expect(from(2, 2, "ArrowDown")).toEqual([3, 0]);
  expect(from(3, 0, "ArrowDown")).toEqual([3, 0]);
  expect(from(1, 2, "Home")).toEqual([1, 0]);
  expect(from(1, 0, "End")).toEqual([1, 2]);
  expect(from(1, 1, "Home", true)).toEqual([0, 0]);
  expect(from(1, 1, "End", true)).toEqual([3, 0]);
  expect(from(0, 1, "PageDown")).toEqual([3, 0]);
  expect(from(3, 0, "PageUp")).toEqual([0, 0]);
  expect(from(0, 0, "x")).toBeUndefined();
});
