import { expect, test } from "vitest";
import { again } from "./numbers";

test("numbers are asked for again as long as they are answered; a refusal waits for somebody", () => {
  const interval = again(5000).refetchInterval;
  expect(interval?.({ state: { status: "success" } })).toBe(5000);
  expect(interval?.({ state: { status: "pending" } })).toBe(5000);
  expect(interval?.({ state: { status: "error" } })).toBe(false);
  expect(again(undefined)).toEqual({});
});
