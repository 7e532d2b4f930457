import { expect, test } from "vitest";
import { armPath } from "./api/arm";
import { devicePath } from "./api/hubData";
import { withQuery } from "./api/http";
import { pageOf } from "./api/resourceId";
import { cutText, segment, wellFormed } from "./wellFormed";

test("a long paste is cut between characters", () => {
  expect(cutText("x".repeat(3999) + "😀".repeat(50), 4000)).toBe("x".repeat(3999));
  expect(cutText("x".repeat(3998) + "😀".repeat(50), 4000)).toBe("x".repeat(3998) + "😀");
  expect(cutText("😀", 2)).toBe("😀");
  expect(cutText("a\uD83Db\uDE00", 10)).toBe("a\uFFFDb\uFFFD");
});

test("half a character in a name makes no page unusable", () => {
  const half = "x\uD83D";
  expect(wellFormed(`${half} 😀`)).toBe("x\uFFFD 😀");
  const id = `/subscriptions/s/resourceGroups/${half}/providers/Microsoft.DeviceRegistry/namespaces/${half}`;
  for (const make of [() => armPath(id), () => pageOf(id), () => devicePath("h.x", half), () => withQuery("/a", { b: half }), () => segment(half)]) {
    expect(make()).toContain("%EF%BF%BD");
  }
});
