import { expect, test } from "vitest";
import type { HubEvent } from "../../api/hubData";
import { Fault } from "../../api/fault";
import { bodyText, endOf, keptOf, newest, refused, type ReadFrom } from "./eventLog";

const event = (sequenceNumber: number, enqueuedTimeUtc = "2026-01-01T00:00:00Z", partition = 0): HubEvent => ({ partition, sequenceNumber, offset: "0", enqueuedTimeUtc, systemProperties: {}, applicationProperties: {}, body: "" });

/** A log that keeps the events `from` to `to`, `to` not among them. */
function log(from: number, to: number): { read: ReadFrom; reads: () => number } {
  let reads = 0;
  return {
    reads: () => reads,
    read: async (sequence, most) => {
      reads += 1;
      const found: HubEvent[] = [];
      for (let at = Math.max(from, sequence); at < to && found.length < most; at += 1) found.push(event(at));
      return found;
    },
  };
}

test.each([[0, 0], [0, 1], [0, 2], [0, 1000], [999, 1000], [123_456, 10_000_000]])("the end of a log from %i to %i", async (from, to) => {
  const kept = log(from, to);
  expect(await endOf(kept.read)).toBe(to);
  expect(kept.reads()).toBeLessThan(60);
});

test("the newest come first, and only so many are kept", () => {
  const before = [event(2, "2026-01-01T00:00:02.0000000Z"), event(1, "2026-01-01T00:00:01.0000000Z")];
  const after = newest(before, [event(7, "2026-01-01T00:00:01.5000000Z", 1), event(3, "2026-01-01T00:00:03.0000000Z")], 3, 1e9);
  expect(after.map((each) => each.sequenceNumber)).toEqual([3, 2, 7]);
});

test("bodies", () => {
  expect(bodyText(btoa('{"a":1}'), "text")).toBe('{"a":1}');
  expect(bodyText(btoa('{"a":1}'), "json")).toBe('{\n  "a": 1\n}');
  expect(bodyText(btoa("<b>"), "json")).toBe("<b>");
  expect(bodyText(btoa("\u00ff\u0000"), "hex")).toBe("ff 00");
});

test("events have a limit in bytes too; the newest is kept however large", () => {
  const large = (sequence: number) => ({ ...event(sequence, `2026-01-01T00:00:0${sequence}Z`), body: "A".repeat(1000) });
  const kept = newest([large(1), large(2)], [large(3), large(4)], 500, 2500);
  expect(kept.map((each) => each.sequenceNumber)).toEqual([4, 3]);
  expect(newest([], [large(1)], 500, 10)).toHaveLength(1);
});

test("of a body the beginning is decoded, once, and no character in halves", () => {
  const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  expect(keptOf({ ...event(1), body: base64('{"a":1}') }).piece).toBe('{"a":1}');
  expect(keptOf({ ...event(1), body: base64("ä".repeat(200_00)) }).piece).toBe("ä".repeat(82));
  expect(keptOf({ ...event(1), body: base64("x".repeat(500)) }).piece).toHaveLength(160);
});

test.each([[403, true], [404, true], [400, true], [429, false], [408, false], [503, false], [0, false]])("a reading that ends with %i waits for somebody: %s", (status, waits) => {
  expect(refused(new Fault({ status, code: "c", message: "m" }))).toBe(waits);
});
