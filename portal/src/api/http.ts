/** The only place that calls `fetch`. */

import { asFault, Fault, faultOf, unreachable } from "./fault";
import { t } from "../texts";
import { isDots, segment } from "../wellFormed";

/** Whom a token is for. */
export type Audience = "arm" | "graph" | "hub" | "dps" | "registry";
export type Method = "GET" | "HEAD" | "PUT" | "PATCH" | "POST" | "DELETE";

export interface Call {
  method: Method;
  /** Path with query on this origin. */
  path: string;
  audience: Audience;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export interface Reply<T> {
  status: number;
  body: T;
  etag: string | undefined;
  headers: Headers;
}

/** Where tokens come from; `auth/tokens.ts` is the one of the page. */
export interface Tokens {
  /** A bearer token; `renewed` asks for another than the one before. */
  bearer(audience: Audience, renewed?: boolean): Promise<string>;
}

let tokens: Tokens | undefined;

/** Says where tokens come from. */
export function useTokens(source: Tokens): void {
  tokens = source;
}

/** Listeners that hear whether the server answers. */
const reach = new Set<(reached: boolean) => void>();

/** Calls `listener` after each call: was there an answer? Gives what ends it. */
export function onReach(listener: (reached: boolean) => void): () => void {
  reach.add(listener);
  return () => reach.delete(listener);
}

/** One call with its answer read.
 * @throws Fault for everything but a 2xx. */
export async function send<T>(call: Call): Promise<Reply<T>> {
  if (!tokens) throw new Fault({ status: 0, code: "NotSignedIn", message: "Nobody is signed in." });
  let response = await attempt(call, await tokens.bearer(call.audience));
  // A token may have been ended before its time: once more with a new one. Nothing was done by a call that is refused so.
  if (response.status === 401) response = await attempt(call, await tokens.bearer(call.audience, true));
  const body = await read(response);
  if (!response.ok) {
    throw faultOf(response.status, body, response.headers.get("x-ms-request-id") ?? undefined, waitOf(response.headers));
  }
  return {
    status: response.status,
    body: body as T,
    etag: response.headers.get("etag") ?? undefined,
    headers: response.headers,
  };
}

/** Milliseconds that `Retry-After` asks for, where there is one in seconds. */
export function waitOf(headers: Headers): number | undefined {
  const seconds = Number(headers.get("retry-after") ?? "");
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

async function attempt(call: Call, bearer: string): Promise<Response> {
  const dots = call.path.split("?")[0]?.split("/").find(isDots);
  // The call would be one of what lies above.
  if (dots !== undefined) throw new Fault({ status: 400, code: "NotAnAddress", message: t.failure.dots(decodeURIComponent(dots)) });
  const headers: Record<string, string> = {
    Accept: "application/json",
    Authorization: `Bearer ${bearer}`,
    "x-ms-client-request-id": crypto.randomUUID(),
    ...call.headers,
  };
  const init: RequestInit = { method: call.method, headers, credentials: "omit", cache: "no-store", redirect: "error" };
  if (call.signal) init.signal = call.signal;
  if (call.body !== undefined) {
    headers["Content-Type"] ??= "application/json";
    init.body = JSON.stringify(call.body);
  }
  try {
    const response = await fetch(ownPath(call.path), init);
    for (const listener of reach) listener(true);
    return response;
  } catch (thrown) {
    if (call.signal?.aborted) throw asFault(thrown);
    for (const listener of reach) listener(false);
    throw unreachable();
  }
}

async function read(response: Response): Promise<unknown> {
  let text: string;
  try {
    text = await response.text();
  } catch {
    throw unreachable();
  }
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Path and query of a link that the server gave, which may name any of its names: calls never leave the page's origin. */
export function ownPath(link: string): string {
  const url = new URL(link, "https://portal.invalid/");
  return url.pathname + url.search;
}

/** `path` with `api-version` and further options of the query; those that are undefined stay out. */
export function withQuery(path: string, options: Record<string, string | number | undefined>): string {
  const query = Object.entries(options)
    .filter((entry): entry is [string, string | number] => entry[1] !== undefined)
    .map(([name, value]) => `${name}=${segment(value)}`);
  if (query.length === 0) return path;
  return path + (path.includes("?") ? "&" : "?") + query.join("&");
}

/** Posts a form to the token service, which wants no bearer.
 * @param session whether the browser's session cookie goes along: only to end the session. */
export async function postForm<T>(path: string, fields: Record<string, string>, session = false): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: "POST",
      body: new URLSearchParams(fields),
      credentials: session ? "same-origin" : "omit",
      cache: "no-store",
    });
  } catch {
    throw unreachable();
  }
  const body = await read(response);
  if (!response.ok) throw faultOf(response.status, body, response.headers.get("x-ms-request-id") ?? undefined);
  return body as T;
}

/** The version of the page that the server has now; undefined where it does not say. */
export async function servedVersion(): Promise<string | undefined> {
  try {
    const response = await fetch("/portal/version.json", { credentials: "omit", cache: "no-store" });
    if (!response.ok) return undefined;
    const body = (await response.json()) as { version?: unknown };
    return typeof body.version === "string" ? body.version : undefined;
  } catch {
    return undefined;
  }
}
