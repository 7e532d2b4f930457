/** The export of a list: all rows that its filters leave, not those of the page that is shown. */

import { csv, download } from "../csv";
import { PAGE } from "../api/graphQuery";
import { cut, type Source } from "./listSource";
import { SIZES, type ListQuery } from "./listState";

/** Most rows of an export: beyond it the list says that there are more. */
export const MOST = 5000;

interface Exported<R> {
  label: string;
  source: Source<R>;
  columns: { id: string; label: string; text: (row: R) => string }[];
  facets?: { id: string; value?: (row: R) => string }[];
}

/** What was exported. */
export interface Outcome {
  count: number;
  /** There are rows that were left out. */
  more: boolean;
}

/** Reads the rows, and lets the browser save them. */
export async function exportRows<R>(list: Exported<R>, query: ListQuery, signal: AbortSignal): Promise<Outcome> {
  const { rows, more } = await rowsOf(list, query, signal);
  if (!signal.aborted) {
    const lines = rows.map((row) => list.columns.map((column) => column.text(row)));
    download(`${list.label}.csv`, csv([list.columns.map((column) => column.label), ...lines]));
  }
  return { count: rows.length, more };
}

/** All rows under a query, up to `most`. */
export async function rowsOf<R>({ source, columns, facets = [] }: Omit<Exported<R>, "label">, query: ListQuery, signal: AbortSignal, most = MOST): Promise<{ rows: R[]; more: boolean }> {
  if (source.kind === "all") {
    const loaded = await source.load(query, undefined, signal);
    const { rows } = cut(loaded.rows, columns, facets, { ...query, page: 0, size: loaded.rows.length });
    return { rows: rows.slice(0, most), more: loaded.more || rows.length > most };
  }
  const size = source.kind === "server" ? PAGE : Math.max(...SIZES);
  const rows: R[] = [];
  let after: string | undefined;
  for (let page = 0; ; page += 1) {
    const found = await source.load({ ...query, page, size }, after, signal);
    rows.push(...found.rows);
    const last = !found.more || (source.kind === "continued" && found.next === undefined);
    if (last || rows.length >= most) return { rows: rows.slice(0, most), more: found.more || rows.length > most };
    after = found.next;
  }
}
