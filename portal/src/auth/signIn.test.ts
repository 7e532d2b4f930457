import { afterEach, expect, test, vi } from "vitest";
import { send } from "../api/http";
import { signIn, signOut } from "./signIn";

afterEach(() => vi.unstubAllGlobals());

const PATIENCE = { timeout: 60_000 };

function store() {
  const held = new Map<string, string>();
  return {
    get length() {
      return held.size;
    },
    key: (at: number) => [...held.keys()][at] ?? null,
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
    removeItem: (key: string) => void held.delete(key),
    clear: () => held.clear(),
  };
}

const claims = (nonce: string): string => `h.${btoa(JSON.stringify({ nonce, oid: "o", name: "Ann" }))}.s`;

test("a call that finds the session ended does not overtake the page that says so", async () => {
  const gone: string[] = [];
  const place = { pathname: "/portal/", search: "", hash: "", origin: "https://p", replace: (to: string) => void gone.push(to) };
  const [kept, ofBrowser] = [store(), store()];
  vi.stubGlobal("location", place);
  vi.stubGlobal("sessionStorage", kept);
  vi.stubGlobal("localStorage", ofBrowser);
  vi.stubGlobal("BroadcastChannel", class { addEventListener() {} postMessage() {} });
  let ended: () => void = () => {};
  const refused: (() => void)[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    if (path.endsWith("/logout")) return new Promise((answer) => (ended = () => answer(new Response(null, { status: 204 }))));
    if (!path.endsWith("/token")) return new Response(null, { status: 401 });
    const form = init.body as URLSearchParams;
    if (form.get("grant_type") === "authorization_code") return Response.json({ access_token: "t", expires_in: 3600, refresh_token: "r", id_token: claims(nonce) });
    return new Promise((answer) => refused.push(() => answer(Response.json({ error: "invalid_grant" }, { status: 400 }))));
  });
  void signIn();
  await vi.waitFor(() => expect(gone).toHaveLength(1), PATIENCE);
  const asked = new URLSearchParams(gone.pop()?.split("?")[1]);
  const nonce = asked.get("nonce") ?? "";
  place.search = `?code=c&state=${asked.get("state")}`;
  expect(await signIn()).toMatchObject({ kind: "account", account: { objectId: "o" } });

  ofBrowser.setItem("ferrohub.recent.o", "[]");
  void send({ method: "GET", path: "/poll", audience: "arm" });
  const out = signOut();
  await vi.waitFor(() => expect(refused).toHaveLength(1), PATIENCE);
  refused[0]?.();
  await new Promise((done) => setTimeout(done, 20));
  ended();
  await out;
  await new Promise((done) => setTimeout(done, 20));
  expect(gone).toEqual(["/portal/signed-out"]);
  expect(ofBrowser.getItem("ferrohub.recent.o")).toBeNull();
});
