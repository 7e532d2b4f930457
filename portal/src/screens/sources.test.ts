import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useTokens } from "../api/http";
import type { ListQuery } from "../frames/listState";
import { daysLeft, inventorySource } from "./certificates/inventory";
import { hubDevices } from "./devices/devices";
import { enrollmentSource } from "./enrollments/source";
import { rates } from "./metrics/rates";
import { registrationSource } from "./registrations/source";

interface Asked {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
}

const asked: Asked[] = [];
let answer: (request: Asked) => { status?: number; body: unknown; headers?: Record<string, string> };

beforeEach(() => {
  asked.length = 0;
  useTokens({ bearer: async () => "token" });
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const request = { method: init.method ?? "GET", path, headers: init.headers as Record<string, string>, body: init.body ? JSON.parse(String(init.body)) : undefined };
    asked.push(request);
    const { status = 200, body, headers = {} } = answer(request);
    return new Response(JSON.stringify(body), { status, headers });
  });
});
afterEach(() => vi.unstubAllGlobals());

const QUERY: ListQuery = { filter: "", facets: {}, sort: undefined, page: 0, size: 50 };
const signal = new AbortController().signal;

test("enrollments come page by page, a name finds its own", async () => {
  const source = enrollmentSource("d.x", "group");
  answer = () => ({ body: [{ enrollmentGroupId: "a" }], headers: { "x-ms-continuation": "next" } });
  expect(await source.load(QUERY, undefined, signal)).toMatchObject({ total: undefined, more: true, next: "next" });
  await source.load({ ...QUERY, page: 1 }, "next", signal);
  expect(asked[1]?.headers).toMatchObject({ "x-ms-continuation": "next", "x-ms-max-item-count": "50" });
  expect(asked[1]).toMatchObject({ method: "POST", path: "/at/d.x/enrollmentGroups/query?api-version=2025-07-01-preview" });
  answer = () => ({ body: { enrollmentGroupId: "Line 3" } });
  expect((await source.load({ ...QUERY, filter: " line:3 " }, undefined, signal)).rows).toHaveLength(1);
  expect(asked[2]).toMatchObject({ method: "GET", path: "/at/d.x/enrollmentGroups/line%3A3?api-version=2025-07-01-preview" });
  answer = () => ({ status: 404, body: { errorCode: 404201, message: "no" } });
  expect(await source.load({ ...QUERY, filter: "none" }, undefined, signal)).toEqual({ rows: [], total: 0, more: false });
  answer = () => ({ status: 403, body: { errorCode: 403000, message: "no" } });
  await expect(source.load({ ...QUERY, filter: "none" }, undefined, signal)).rejects.toThrow("no");
});

test("registrations: of a group, of one id, none without either", async () => {
  answer = () => ({ body: [{ registrationId: "a", status: "assigned" }] });
  expect(await registrationSource("d.x", "g/1", undefined).load(QUERY, undefined, signal)).toMatchObject({ more: false });
  expect(asked[0]?.path).toBe("/at/d.x/registrations/g%2F1/query?api-version=2025-07-01-preview");
  answer = () => ({ body: { registrationId: "one", status: "assigned" } });
  expect((await registrationSource("d.x", undefined, "one").load(QUERY, undefined, signal)).rows).toHaveLength(1);
  expect(await registrationSource("d.x", undefined, undefined).load(QUERY, undefined, signal)).toEqual({ rows: [], total: 0, more: false });
  expect(asked).toHaveLength(2);
});

test("a hub's page may be empty and not the last", async () => {
  answer = () => ({ body: [], headers: { "x-ms-continuation": "more" } });
  expect(await hubDevices({ id: "/h", name: "h", host: "h.x" }).load(QUERY, undefined, signal)).toEqual({ rows: [], total: undefined, more: true, next: "more" });
  answer = () => ({ body: [{ deviceId: "d", status: "disabled", deviceEtag: "e", capabilities: { iotEdge: true } }] });
  const found = await hubDevices({ id: "/h", name: "h", host: "h.x" }).load({ ...QUERY, facets: { status: "disabled" } }, undefined, signal);
  expect(found.rows[0]).toMatchObject({ id: "d", hub: "h", status: "disabled", etag: "e", edge: true });
  expect(asked[1]?.body).toEqual({ query: "SELECT * FROM devices WHERE status = 'disabled'" });
});

test("the inventory is narrowed by the server, and goes on where its link says", async () => {
  const namespace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.DeviceRegistry/namespaces/n";
  const source = inventorySource(namespace, {}, () => Date.parse("2026-11-29T00:00:00Z"));
  answer = () => ({ body: { value: [], nextLink: "https://elsewhere.example/next?x=1" } });
  const page = await source.load({ ...QUERY, filter: "pump", facets: { state: "Active", expires: "30" } }, undefined, signal);
  const path = new URL(asked[0]?.path ?? "", "https://x");
  expect(Object.fromEntries(path.searchParams)).toEqual({ "api-version": "2026-03-01-preview", deviceId: "pump", state: "Active", expiresBefore: "2026-12-29T00:00:00.000Z", $top: "50" });
  expect(page).toMatchObject({ more: true, next: "/next?x=1" });
  await source.load({ ...QUERY, page: 1 }, page.next, signal);
  expect(asked[1]?.path).toBe("/next?x=1");
});

test("days and rates", () => {
  const now = Date.parse("2026-11-29T12:00:00Z");
  expect([daysLeft("2026-12-29T13:00:00Z", now), daysLeft("2026-11-29T13:00:00Z", now), daysLeft("2026-11-29T11:00:00Z", now)]).toEqual([30, 0, -1]);
  expect(rates([10, 20, 20, 5], 5000)).toEqual([120, 0, 0]);
  expect(rates([7], 5000)).toEqual([]);
});
