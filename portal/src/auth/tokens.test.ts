import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { base64Url, challengeOf, claimsOf } from "./pkce";
import { TokenStore } from "./tokens";

test("the challenge is that of RFC 7636, appendix B", async () => {
  expect(await challengeOf("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")).toBe("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
  const claims = base64Url(new TextEncoder().encode(JSON.stringify({ name: "Jörg" })));
  expect(claimsOf(`x.${claims}.y`)).toEqual({ name: "Jörg" });
});

let forms: Record<string, string>[];
let now: number;
let refuse: string | undefined;

beforeEach(() => {
  forms = [];
  now = 0;
  refuse = undefined;
  vi.stubGlobal("fetch", async (_: string, init: { body: URLSearchParams }) => {
    const form = Object.fromEntries(init.body) as Record<string, string>;
    forms.push(form);
    await Promise.resolve();
    if (refuse) return new Response(JSON.stringify({ error: refuse, error_description: refuse }), { status: 400 });
    return new Response(JSON.stringify({ access_token: `a${forms.length}`, expires_in: 1000, refresh_token: `r${forms.length}` }));
  });
});
afterEach(() => vi.unstubAllGlobals());

function store() {
  const again = vi.fn(() => Promise.reject(new Error("again")));
  const tokens = new TokenStore(again as () => Promise<never>, () => now);
  tokens.take("arm", { access_token: "a0", expires_in: 1000, refresh_token: "r0" });
  return { tokens, again };
}

test("a token is renewed at four fifths of its life, once for all who ask, and each renewal uses the newest refresh token", async () => {
  const { tokens } = store();
  expect(await tokens.bearer("arm")).toBe("a0");
  now = 800_000;
  const [one, two, hub] = await Promise.all([tokens.bearer("arm"), tokens.bearer("arm"), tokens.bearer("hub")]);
  expect([one, two, hub]).toEqual(["a1", "a1", "a2"]);
  expect(forms.map((form) => form["refresh_token"])).toEqual(["r0", "r1"]);
  expect(forms[1]?.["scope"]).toContain("https://iothubs.azure.net/.default");
});

test("several 401 at once lead to one renewal", async () => {
  const { tokens } = store();
  const all = await Promise.all([tokens.bearer("arm", true), tokens.bearer("arm", true)]);
  expect(all).toEqual(["a1", "a1"]);
  expect(forms).toHaveLength(1);
});

test("an ended session leads to another sign-in; a server that is away does not", async () => {
  const { tokens, again } = store();
  refuse = "invalid_grant";
  await expect(tokens.bearer("graph")).rejects.toThrow("again");
  expect(again).toHaveBeenCalledTimes(1);
  const other = store();
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("gone")));
  await expect(other.tokens.bearer("graph")).rejects.toMatchObject({ code: "Unreachable" });
  expect(other.again).not.toHaveBeenCalled();
});
