import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useTokens } from "../api/http";
import { Deployments, nextStep, standing, type Locks, type Plan } from "./deployments";
import { findServices } from "./services";

test.each([
  ["Azure Device Registry", "registry"],
  ["Azure IoT Hub", "hubs"],
  ["IoT Hub", "hubs"],
  ["Device Provisioning Service", "provisioning"],
  ["Device Provisioning Services", "provisioning"],
  ["Azure IoT Hub Device Provisioning Services", "provisioning"],
  ["Resource groups", "groups"],
  ["Managed Identities", "identities"],
  ["Subscriptions", "subscriptions"],
  ["Activity log", "activity"],
  ["Resource Graph Explorer", "graph"],
])("search finds %s first", (text, id) => {
  expect(findServices(text)[0]?.id).toBe(id);
  expect(findServices(text.toUpperCase())[0]?.id).toBe(id);
});

let answers: (() => Promise<Response>)[];
let sent: string[];

beforeEach(() => {
  sent = [];
  useTokens({ bearer: () => Promise.resolve("t") });
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    sent.push(`${init.method} ${path}`);
    return (answers.shift() ?? (() => Promise.resolve(new Response(null, { status: 500 }))))();
  });
});
afterEach(() => vi.unstubAllGlobals());

const answer = (status: number, body?: unknown, headers: Record<string, string> = {}) => () =>
  Promise.resolve(new Response(body === undefined ? null : JSON.stringify(body), { status, headers }));

function memory() {
  const held = new Map<string, string>();
  return { held, getItem: (key: string) => held.get(key) ?? null, setItem: (key: string, value: string) => void held.set(key, value) };
}

const PLAN: Plan = {
  title: "Namespace n",
  steps: [
    { title: "one", method: "PUT", path: "/one", body: { a: 1 } },
    { title: "two", method: "PUT", path: "/two" },
  ],
};

/** Milliseconds that a busy machine may take. */
const PATIENCE = { timeout: 60_000 };

const ended = (of: Deployments, id: string) => vi.waitFor(() => expect(of.get(id)?.ended).toBeDefined(), PATIENCE);

test("steps go one after the other; the first refusal ends them, and the way on begins there", async () => {
  const all = new Deployments(memory(), () => Promise.resolve());
  answers = [answer(201, {}), answer(409, { error: { code: "Conflict", message: "no" } })];
  const id = all.start(PLAN);
  await ended(all, id);
  expect(all.get(id)?.steps.map((step) => step.state)).toEqual(["done", "failed"]);
  answers = [answer(201, {})];
  all.again(id);
  await vi.waitFor(() => expect(standing(all.get(id)!)).toBe("done"), PATIENCE);
  expect(sent).toEqual(["PUT /one", "PUT /two", "PUT /two"]);
});

test("what is as wanted already is no failure; steps that do not need each other all go", async () => {
  const all = new Deployments(memory(), () => Promise.resolve());
  answers = [answer(409, { error: { code: "RoleAssignmentExists", message: "there" } }), answer(403, { error: { code: "x", message: "no" } }), answer(201, {})];
  const steps = ["/a", "/b", "/c"].map((path) => ({ title: path, method: "PUT" as const, path, fine: ["RoleAssignmentExists"] }));
  const id = all.start({ title: "roles", steps, independent: true });
  await ended(all, id);
  expect(all.get(id)?.steps.map((step) => step.state)).toEqual(["done", "failed", "done"]);
});

test("a page that is loaded again follows what it knows, and sends nothing twice", async () => {
  const storage = memory();
  const first = new Deployments(storage, () => new Promise(() => {}));
  answers = [answer(202, undefined, { location: "/op" }), answer(202)];
  const id = first.start(PLAN);
  await vi.waitFor(() => expect(sent).toEqual(["PUT /one", "GET /op"]), PATIENCE);
  const second = new Deployments(storage, () => Promise.resolve());
  answers = [answer(200), answer(201, {})];
  second.restore();
  await ended(second, id);
  expect(standing(second.get(id)!)).toBe("done");
  expect(sent).toEqual(["PUT /one", "GET /op", "GET /op", "PUT /two"]);
});

test("a request that had no answer yet is not known, and is not sent again by itself", async () => {
  const storage = memory();
  const first = new Deployments(storage);
  answers = [() => new Promise(() => {})];
  const id = first.start({ ...PLAN, steps: [{ title: "k", method: "PUT", path: "/k", body: { key: "geheim" }, secret: true }, ...PLAN.steps] });
  await vi.waitFor(() => expect(sent).toEqual(["PUT /k"]), PATIENCE);
  expect([...storage.held.values()].join()).not.toContain("geheim");
  const second = new Deployments(storage);
  second.restore();
  await ended(second, id);
  expect(standing(second.get(id)!)).toBe("unknown");
  expect(sent).toEqual(["PUT /k"]);
});

test("a server that is killed during a poll fails nothing: the operation is asked for again, and the write goes out once", async () => {
  const all = new Deployments(memory(), () => Promise.resolve());
  const away: boolean[] = [];
  answers = [answer(202, undefined, { location: "/op" }), () => Promise.reject(new TypeError("refused")), answer(503), answer(200), answer(201, {})];
  all.subscribe(() => away.push(all.snapshot()[0]?.steps[0]?.away === true));
  const id = all.start(PLAN);
  await ended(all, id);
  expect(standing(all.get(id)!)).toBe("done");
  expect(away).toContain(true);
  expect(sent).toEqual(["PUT /one", "GET /op", "GET /op", "GET /op", "PUT /two"]);
});

test("an operation that may not be read is asked for again, never begun again; one that ended and failed is begun again", async () => {
  const all = new Deployments(memory(), () => Promise.resolve());
  answers = [answer(202, undefined, { "azure-asyncoperation": "/s" }), answer(403, { error: { code: "AuthorizationFailed", message: "no" } })];
  const id = all.start(PLAN);
  await ended(all, id);
  expect(standing(all.get(id)!)).toBe("failed");
  answers = [answer(200, { status: "Failed", error: { code: "Conflict", message: "no" } })];
  all.again(id);
  await vi.waitFor(() => expect(all.get(id)?.steps[0]?.fault?.code).toBe("Conflict"), PATIENCE);
  await ended(all, id);
  answers = [answer(201, {}), answer(201, {})];
  all.again(id);
  await vi.waitFor(() => expect(standing(all.get(id)!)).toBe("done"), PATIENCE);
  expect(sent).toEqual(["PUT /one", "GET /s", "GET /s", "PUT /one", "PUT /two"]);
});

test("a write that got no answer is not known to have failed", async () => {
  const all = new Deployments(memory(), () => Promise.resolve());
  answers = [() => Promise.reject(new TypeError("refused"))];
  const id = all.start(PLAN);
  await ended(all, id);
  expect(all.get(id)?.steps.map((step) => step.state)).toEqual(["unknown", "waiting"]);
  expect(all.get(id)?.steps[0]?.fault?.code).toBe("Unreachable");
  expect(nextStep(all.get(id)!)?.path).toBe("/one");
});

test("an answer of 200 that says Failed is a refusal", async () => {
  const all = new Deployments(memory(), () => Promise.resolve());
  answers = [answer(200, { result: "Failed", error: { code: "404", message: "No active credential", details: [] } })];
  const id = all.start({ title: "revoke", steps: [{ title: "revoke", method: "POST", path: "/revoke" }] });
  await ended(all, id);
  expect(standing(all.get(id)!)).toBe("failed");
  expect(all.get(id)?.steps[0]?.fault).toMatchObject({ code: "404", message: "No active credential" });
});

/** Locks of a browser with several windows. */
function browserLocks(): Locks {
  const taken = new Set<string>();
  return {
    request: async (name, _, held) => {
      if (taken.has(name)) return held(null);
      taken.add(name);
      await held({ name });
      taken.delete(name);
    },
  };
}

test("a window that was duplicated shows what the first one carries out, and sends nothing, also when that has ended meanwhile", async () => {
  const [storage, locks] = [memory(), browserLocks()];
  let goOn = () => {};
  const first = new Deployments(storage, () => new Promise((done) => (goOn = done)), undefined, locks);
  answers = [answer(202, undefined, { location: "/op" }), answer(202), answer(200), answer(201, {})];
  const id = first.start(PLAN);
  await vi.waitFor(() => expect(sent).toEqual(["PUT /one", "GET /op"]), PATIENCE);
  const copy = memory();
  for (const [key, value] of storage.held) copy.held.set(key, value);
  const second = new Deployments(copy, () => Promise.resolve(), undefined, locks);
  second.restore();
  await vi.waitFor(() => expect(second.get(id)?.elsewhere).toBe(true), PATIENCE);
  goOn();
  await ended(first, id);
  const late = new Deployments(copy, () => Promise.resolve(), undefined, locks);
  late.restore();
  await vi.waitFor(() => expect(late.get(id)?.elsewhere).toBe(true), PATIENCE);
  late.again(id);
  second.again(id);
  await Promise.resolve();
  expect([standing(first.get(id)!), standing(second.get(id)!), nextStep(second.get(id)!)]).toEqual(["done", "unknown", undefined]);
  expect(sent).toEqual(["PUT /one", "GET /op", "GET /op", "PUT /two"]);
});

test("what has not ended is not forgotten, however much is begun after it", async () => {
  const all = new Deployments(memory(), () => new Promise(() => {}));
  answers = [answer(202, undefined, { location: "/op" }), answer(202)];
  const long = all.start(PLAN);
  await vi.waitFor(() => expect(sent).toEqual(["PUT /one", "GET /op"]), PATIENCE);
  for (let at = 0; at < 40; at += 1) {
    answers = [answer(200, {})];
    const id = all.start({ title: "quick", steps: [{ title: "quick", method: "PUT", path: "/quick" }] });
    await vi.waitFor(() => expect(all.get(id)?.ended).toBeDefined(), PATIENCE);
  }
  expect(all.snapshot()).toHaveLength(31);
  expect(standing(all.get(long)!)).toBe("running");
});
