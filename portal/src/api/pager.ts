/** Lists that come in pages. */

import { ownPath, send, type Audience } from "./http";

export interface Page<T> {
  rows: T[];
  /** Address of the next page; undefined at the last. */
  next: string | undefined;
}

/** A list that was read to its end, or to where reading stops. */
export interface Whole<T> {
  rows: T[];
  /** There are further ones: whoever shows these says so. */
  more: boolean;
}

/** Most rows that a list which must be whole is read to: beyond it the screen says that more exist. */
export const WHOLE_ROWS = 5000;

interface Body<T> {
  value?: T[];
  nextLink?: string | null;
  "@odata.nextLink"?: string;
}

/** One page of a list of Resource Manager or Graph: `{value, nextLink}`. */
export async function readPage<T>(path: string, audience: Audience = "arm", signal?: AbortSignal): Promise<Page<T>> {
  const reply = await send<Body<T> | T[]>({ method: "GET", path, audience, signal });
  if (Array.isArray(reply.body)) return { rows: reply.body, next: undefined };
  const link = reply.body?.nextLink || reply.body?.["@odata.nextLink"];
  return { rows: reply.body?.value ?? [], next: link ? ownPath(link) : undefined };
}

/** All rows of a list, up to [`WHOLE_ROWS`]. A page may be empty and have a next one. */
export async function readAll<T>(path: string, audience: Audience = "arm", signal?: AbortSignal): Promise<Whole<T>> {
  const rows: T[] = [];
  const seen = new Set<string>();
  for (let next: string | undefined = path; next !== undefined; ) {
    if (rows.length >= WHOLE_ROWS) return { rows, more: true };
    if (seen.has(next)) break;
    seen.add(next);
    const page: Page<T> = await readPage<T>(next, audience, signal);
    rows.push(...page.rows);
    next = page.next;
  }
  return { rows, more: false };
}

/** One page of a data plane's list, whose continuation is a header in both directions: `x-ms-continuation`. */
export async function readContinued<T>(
  call: { method: "GET" | "POST"; path: string; audience: Audience; body?: unknown; signal?: AbortSignal | undefined },
  size: number,
  continuation?: string,
): Promise<Page<T>> {
  const headers: Record<string, string> = { "x-ms-max-item-count": String(size) };
  if (continuation) headers["x-ms-continuation"] = continuation;
  const reply = await send<T[]>({ ...call, headers });
  return { rows: reply.body ?? [], next: reply.headers.get("x-ms-continuation") ?? undefined };
}
