import { expect, test, vi } from "vitest";
import { armPath } from "./api/arm";
import { deviceCall, devicePath } from "./api/hubData";
import { send, useTokens, withQuery } from "./api/http";
import { pageOf } from "./api/resourceId";
import { enrollmentPage } from "./screens/enrollments/paths";
import { cutText, isDots, nameIn, nameSegment, segment, wellFormed } from "./wellFormed";

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

test("a name that a browser would take for a step in a path survives in an address", () => {
  for (const name of [".", "..", "%2e", "~", "~.", "~~..", "a", "...", "a/b", ".a"]) {
    const url = new URL("/portal" + enrollmentPage("/subscriptions/s", "group", name), "https://p");
    const parts = url.pathname.split("/").map(decodeURIComponent);
    expect([parts.length, nameIn(parts[5] ?? "")]).toEqual([8, name]);
    expect(isDots(nameSegment(name))).toBe(false);
  }
  expect(nameSegment("group-1")).toBe("group-1");
});

test("what is called '..' is never asked for by a path, which would name what lies above", async () => {
  const asked = vi.fn();
  vi.stubGlobal("fetch", asked);
  useTokens({ bearer: async () => "t" });
  for (const id of [".", "..", "%2e%2E"]) {
    await expect(send({ method: "DELETE", path: `/at/h/devices/${id}?api-version=1`, audience: "hub" })).rejects.toMatchObject({ status: 400, code: "NotAnAddress" });
  }
  expect(asked).not.toHaveBeenCalled();
  vi.unstubAllGlobals();
  expect(deviceCall("DELETE", "h", "..", "e")).toMatchObject({ method: "POST", path: expect.stringMatching(/^\/at\/h\/devices\?/), body: [{ id: "..", importMode: "deleteIfMatchETag", eTag: '"e"' }] });
  expect(deviceCall("PUT", "h", ".", "*", { deviceId: ".", status: "disabled" }).body).toEqual([{ id: ".", importMode: "update", status: "disabled" }]);
  expect(deviceCall("PUT", "h", "a", "e", { deviceId: "a" })).toMatchObject({ method: "PUT", headers: { "If-Match": '"e"' }, body: { deviceId: "a" } });
});
