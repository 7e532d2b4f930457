/** Signing in: authorization code with proof key, by redirects of the whole page. */

import { asFault, Fault } from "../api/fault";
import { postForm, useTokens } from "../api/http";
import { forgetKept } from "./kept";
import { challengeOf, claimsOf, randomText } from "./pkce";
import { AUTHORIZE, CLIENT_ID, LOGOUT, redirectUri, scopeOf, TOKEN } from "./settings";
import { TokenStore, type Grant } from "./tokens";

/** Who is signed in. */
export interface Account {
  name: string;
  userName: string;
  objectId: string;
  tenantId: string;
}

/** What is kept over the redirect; nothing in it is worth anything once the code was redeemed. */
interface Pending {
  state: string;
  nonce: string;
  verifier: string;
  /** Path with query that was wanted, below `/portal`. */
  wanted: string;
}

const PENDING = "ferrohub.sign-in";
const CHANNEL = "ferrohub.session";
/** The page that says that one is signed out; nobody is signed in there. */
export const SIGNED_OUT = "/portal/signed-out";

export type Outcome = { kind: "account"; account: Account; wanted: string } | { kind: "failed"; fault: Fault } | { kind: "leaving" };

const tokens = new TokenStore(() => leave({ silent: true }));

/** Signing out, once somebody asked for it: whether the session has ended. */
let ending: Promise<boolean> | undefined;

/** Is this the answer of a sign-in, or must one begin? */
export async function signIn(): Promise<Outcome> {
  const query = new URLSearchParams(location.search);
  const pending = takePending();
  if (query.has("state") && (query.has("code") || query.has("error"))) {
    if (!pending || query.get("state") !== pending.state) return begin(true, "/");
    const error = query.get("error");
    if (error) return refused(error, query.get("error_description") ?? error, pending);
    return redeem(query.get("code") ?? "", pending);
  }
  return begin(true, location.pathname.replace(/^\/portal/, "") + location.search + location.hash);
}

async function begin(silent: boolean, wanted: string): Promise<Outcome> {
  void leave({ silent, wanted });
  return { kind: "leaving" };
}

function refused(error: string, description: string, pending: Pending): Promise<Outcome> | Outcome {
  // No session yet: once more, and now the server may ask.
  if (error === "login_required" || error === "interaction_required") return begin(false, pending.wanted);
  return { kind: "failed", fault: new Fault({ status: 403, code: error, message: description }) };
}

async function redeem(code: string, pending: Pending): Promise<Outcome> {
  try {
    const grant = await postForm<Grant>(TOKEN, {
      client_id: CLIENT_ID,
      grant_type: "authorization_code",
      code,
      redirect_uri: redirectUri(),
      code_verifier: pending.verifier,
      scope: scopeOf("arm"),
    });
    const claims = claimsOf(grant.id_token ?? "");
    if (claims["nonce"] !== pending.nonce) {
      return { kind: "failed", fault: new Fault({ status: 403, code: "NonceMismatch", message: "The answer belongs to another sign-in." }) };
    }
    tokens.take("arm", grant);
    useTokens(tokens);
    watch();
    return { kind: "account", account: accountOf(claims), wanted: pending.wanted };
  } catch (thrown) {
    return { kind: "failed", fault: asFault(thrown) };
  }
}

function accountOf(claims: Record<string, unknown>): Account {
  const text = (name: string) => (typeof claims[name] === "string" ? claims[name] : "");
  const userName = text("preferred_username") || text("upn");
  return { name: text("name") || userName || text("oid"), userName, objectId: text("oid"), tenantId: text("tid") };
}

/** Goes to the server's sign-in; the page ends here. */
async function leave(how: { silent: boolean; wanted?: string }): Promise<never> {
  const here = location.pathname.replace(/^\/portal/, "") + location.search + location.hash;
  const pending: Pending = { state: randomText(), nonce: randomText(), verifier: randomText(), wanted: how.wanted ?? here };
  const challenge = await challengeOf(pending.verifier);
  // A poll that finds the session ended would overtake the page that says so.
  if (await ending) return new Promise<never>(() => {});
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const query = new URLSearchParams({
    client_id: CLIENT_ID,
    response_type: "code",
    response_mode: "query",
    redirect_uri: redirectUri(),
    scope: scopeOf("arm"),
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: challenge,
    code_challenge_method: "S256",
  });
  if (how.silent) query.set("prompt", "none");
  location.replace(`${AUTHORIZE}?${query}`);
  return new Promise<never>(() => {});
}

function takePending(): Pending | undefined {
  const text = sessionStorage.getItem(PENDING);
  sessionStorage.removeItem(PENDING);
  if (!text) return undefined;
  try {
    const pending = JSON.parse(text) as Pending;
    // Only a path of this page is gone to.
    return typeof pending.wanted === "string" && /^\/(?!\/)/.test(pending.wanted || "/") ? { ...pending, wanted: pending.wanted || "/" } : undefined;
  } catch {
    return undefined;
  }
}

/** Ends the session at the server, and with it every window of the page. */
export async function signOut(): Promise<void> {
  const ended = postForm(LOGOUT, { post_logout_redirect_uri: location.origin + SIGNED_OUT }, true);
  ending = ended.then(() => true, () => false);
  await ended;
  end();
  new BroadcastChannel(CHANNEL).postMessage("ended");
}

function watch(): void {
  new BroadcastChannel(CHANNEL).addEventListener("message", (event) => {
    if (event.data === "ended") end();
  });
}

function end(): void {
  ending = Promise.resolve(true);
  tokens.forget();
  forgetKept();
  location.replace(SIGNED_OUT);
}
