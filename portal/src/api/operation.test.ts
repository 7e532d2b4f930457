import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useTokens } from "./http";
import { begun, follow, OperationFault, POLL_MS, retryAfter } from "./operation";
import { queryAll } from "./graphQuery";
import { readAll, WHOLE_ROWS } from "./pager";

interface Scripted {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}

let asked: string[];
let script: Scripted[];

beforeEach(() => {
  asked = [];
  useTokens({ bearer: () => Promise.resolve("t") });
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    const next = script.shift() ?? { status: 500 };
    if (next.status === 0) return Promise.reject(new TypeError("refused"));
    const text = next.body === undefined ? null : JSON.stringify(next.body);
    return Promise.resolve(new Response(text, { status: next.status ?? 200, headers: next.headers ?? {} }));
  });
});
afterEach(() => vi.unstubAllGlobals());

const reply = (status: number, headers: Record<string, string>, body?: unknown) => ({ status, body, etag: undefined, headers: new Headers(headers) });

test("an answer begins an operation, or is the end", () => {
  expect(begun("PUT", "/r", reply(201, {}, { properties: { provisioningState: "Succeeded" } }))).toBeUndefined();
  expect(begun("PUT", "/r", reply(201, {}, { properties: { provisioningState: "Accepted" } }))).toEqual({ kind: "resource", url: "/r" });
  expect(begun("DELETE", "/r", reply(202, { location: "https://elsewhere:1/op?x=1" }))).toEqual({ kind: "location", url: "/op?x=1" });
  expect(begun("POST", "/r", reply(202, { "azure-asyncoperation": "https://h/s", location: "https://h/l" }))).toEqual({ kind: "status", url: "/s", final: "/l" });
  expect(begun("DELETE", "/r", reply(204, {}))).toBeUndefined();
});

test("it is asked when the server says, and the clock is the test's", async () => {
  script = [
    { body: { status: "Running", percentComplete: 40 }, headers: { "retry-after": "7" } },
    { body: { status: "Running" } },
    { body: { status: "Succeeded" } },
    { body: { name: "r" } },
  ];
  const waits: number[] = [];
  const percents: (number | undefined)[] = [];
  const end = await follow({ kind: "status", url: "/s", final: "/r" }, (ms) => (waits.push(ms), Promise.resolve()), (progress) => percents.push(progress.percent));
  expect(waits).toEqual([7000, POLL_MS]);
  expect(percents).toEqual([40, undefined, 100]);
  expect(end.body).toEqual({ name: "r" });
  expect(asked).toEqual(["/s", "/s", "/s", "/r"]);
  expect(retryAfter(new Headers({ "retry-after": "86400" }))).toBe(30_000);
  expect(retryAfter(new Headers({ "retry-after": "soon" }))).toBe(POLL_MS);
});

test("an operation that failed tells its parts, those that went well too", async () => {
  script = [{ body: { status: "Failed", error: { code: "AuthorizationFailed", message: "no" }, operations: [{ resourceId: "/a", status: "Succeeded" }, { resourceId: "/b", status: "Failed", error: { code: "AuthorizationFailed", message: "no" } }] } }];
  const thrown = await follow({ kind: "status", url: "/s" }, () => Promise.resolve()).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(OperationFault);
  const fault = thrown as OperationFault;
  expect(fault.code).toBe("AuthorizationFailed");
  expect(fault.parts.map((part) => part.status)).toEqual(["Succeeded", "Failed"]);
});

test("a reading that failed says nothing about the operation: it is asked again, later each time, and no write goes out", async () => {
  script = [
    { body: { status: "Running", percentComplete: 40 } },
    { status: 503, headers: { "retry-after": "9" } },
    { status: 429 },
    { status: 502 },
    { status: 0 },
    { body: { status: "Succeeded" } },
  ];
  const waits: number[] = [];
  const away: boolean[] = [];
  const end = await follow({ kind: "status", url: "/s" }, (ms) => (waits.push(ms), Promise.resolve()), (progress) => away.push(progress.away === true));
  expect(end).toMatchObject({ done: true, state: "Succeeded" });
  expect(away).toEqual([false, true, true, true, true, false]);
  expect(waits).toEqual([POLL_MS, 9000, 4 * POLL_MS, 8 * POLL_MS, 16 * POLL_MS]);
  expect(asked).toEqual(Array(6).fill("/s"));
});

test.each([400, 403, 404])("a %i at the operation's address ends the following, and is no end of the operation", async (status) => {
  script = [{ status, body: { error: { code: "x", message: "no" } } }];
  const thrown = await follow({ kind: "status", url: "/s" }, () => Promise.resolve()).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ status, code: "x" });
  expect(thrown).not.toBeInstanceOf(OperationFault);
});

test("an answer of status 500 that stays is told in the end: it may be the operation's own", async () => {
  script = Array.from({ length: 40 }, () => ({ status: 500, body: { error: { code: "InternalServerError", message: "broken" } } }));
  const thrown = await follow({ kind: "location", url: "/l" }, () => Promise.resolve()).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ status: 500, code: "InternalServerError" });
  expect(asked.length).toBe(11);
});

test("an operation that ended well has, whether or not its result may be read; a result that says Failed did not end well", async () => {
  script = [{ body: { status: "Succeeded" } }, { status: 403, body: { error: { code: "AuthorizationFailed", message: "no" } } }];
  expect(await follow({ kind: "status", url: "/s", final: "/r" }, () => Promise.resolve())).toMatchObject({ done: true, body: undefined });
  script = [{ body: { result: "Failed", error: { code: "404", message: "No active credential" } } }];
  const thrown = await follow({ kind: "location", url: "/l" }, () => Promise.resolve()).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(OperationFault);
  expect(thrown).toMatchObject({ code: "404", message: "No active credential" });
});

test("a location is asked until it is no 202", async () => {
  script = [{ status: 202 }, { status: 204 }];
  expect((await follow({ kind: "location", url: "/l" }, () => Promise.resolve())).done).toBe(true);
});

test("a list is read to its end, empty pages included, and never leaves the origin or turns in a circle", async () => {
  script = [{ body: { value: [1], nextLink: "https://other.example/p2?x=1" } }, { body: { value: [], nextLink: "https://other.example/p3" } }, { body: { value: [2, 3] } }];
  expect(await readAll<number>("/p1")).toEqual({ rows: [1, 2, 3], more: false });
  expect(asked).toEqual(["/p1", "/p2?x=1", "/p3"]);
  script = [{ body: { value: [1], nextLink: "/p1" } }];
  expect(await readAll<number>("/p1")).toEqual({ rows: [1], more: false });
});

test("a list that is longer than is read says so, one that is just as long does not", async () => {
  const full = Array.from({ length: WHOLE_ROWS }, (_, at) => at);
  script = [{ body: { value: full, nextLink: "/p2" } }];
  expect(await readAll<number>("/p1")).toMatchObject({ more: true });
  script = [{ body: { value: full } }];
  expect(await readAll<number>("/p1")).toMatchObject({ more: false });
  const page = full.slice(0, 1000);
  script = Array.from({ length: 5 }, () => ({ body: { data: page, totalRecords: 5001 } }));
  expect(await queryAll<number>("resources")).toMatchObject({ more: true, total: 5001 });
  script = [{ body: { data: [1, 2], totalRecords: 2 } }];
  expect(await queryAll<number>("resources")).toEqual({ rows: [1, 2], more: false, total: 2 });
});

test("a 401 is tried once more with a new token, and no other refusal is", async () => {
  const given: boolean[] = [];
  useTokens({ bearer: (_, renewed) => (given.push(renewed === true), Promise.resolve("t")) });
  script = [{ status: 401 }, { body: { value: [] } }];
  await readAll("/x");
  expect(given).toEqual([false, true]);
  script = [{ status: 403, body: { error: { code: "AuthorizationFailed", message: "no" } } }];
  await expect(readAll("/x")).rejects.toMatchObject({ status: 403, code: "AuthorizationFailed" });
  expect(asked).toEqual(["/x", "/x", "/x"]);
});
