/** Resource Graph: lists over everything that one may read, sorted, filtered and counted by the server. */

import { send, withQuery } from "./http";
import { WHOLE_ROWS, type Whole } from "./pager";
import { API } from "./versions";

export interface Answer<T> {
  rows: T[];
  total: number;
  more: boolean;
  skipToken: string | undefined;
}

/** A text of KQL. The server's grammar knows backslash escapes, so that nothing in `value` ends the literal. */
export function quote(value: string): string {
  const safe = value.replace(/[\\']/g, (found) => "\\" + found).replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t");
  return `'${safe}'`;
}

/** Runs `text`. */
export async function query<T>(
  text: string,
  options: { top?: number; skip?: number; skipToken?: string | undefined; subscriptions?: string[] | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Answer<T>> {
  const reply = await send<{ totalRecords: number; resultTruncated?: string; $skipToken?: string; data: T[] }>({
    method: "POST",
    path: withQuery("/providers/Microsoft.ResourceGraph/resources", { "api-version": API.resourceGraph }),
    audience: "arm",
    body: {
      query: text,
      ...(options.subscriptions ? { subscriptions: options.subscriptions } : {}),
      options: { $top: options.top ?? 100, $skip: options.skip, $skipToken: options.skipToken, resultFormat: "objectArray" },
    },
    signal: options.signal,
  });
  const body = reply.body;
  return { rows: body.data ?? [], total: body.totalRecords ?? 0, more: body.resultTruncated === "true" || !!body.$skipToken, skipToken: body.$skipToken };
}

/** Rows of a page: the most that is served. */
export const PAGE = 1000;

/** All rows of `text`, up to [`WHOLE_ROWS`], and how many there are. */
export async function queryAll<T>(text: string, signal?: AbortSignal): Promise<Whole<T> & { total: number }> {
  const rows: T[] = [];
  for (;;) {
    const answer: Answer<T> = await query<T>(text, { top: PAGE, skip: rows.length, signal });
    rows.push(...answer.rows);
    const more = answer.rows.length > 0 && rows.length < answer.total;
    if (!more || rows.length >= WHOLE_ROWS) return { rows, more, total: Math.max(answer.total, rows.length) };
  }
}
