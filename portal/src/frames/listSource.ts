/** Where the rows of a list come from. */

import { query as runQuery, quote } from "../api/graphQuery";
import type { Whole } from "../api/pager";
import type { ListQuery } from "./listState";

export interface Rows<R> {
  rows: R[];
  /** Rows that fit the filter, where it is known. */
  total: number | undefined;
  /** Whether a further page exists; of what is loaded whole, whether there are rows that were not read. */
  more: boolean;
  /** Continuation behind which the next page begins, for lists that have no page numbers. */
  next?: string | undefined;
}

export interface Source<R> {
  /** Names the rows in the cache: what is in it and nothing of the query. */
  key: unknown[];
  /** `all`: everything is loaded, and searched, sorted and paged here. `server`: the server does. `continued`: the server does, and a page
   * is reached by the continuation of the one before only. */
  kind: "all" | "server" | "continued";
  load: (query: ListQuery, after: string | undefined, signal: AbortSignal) => Promise<Rows<R>>;
}

/** What stands where rows would, when there are none: `empty` where there is nothing at all, `nothing` where nothing fits the filters, `more`
 * where the page is empty and not the last. */
export function absence<R>(view: Rows<R>, page: number, filtered: boolean): "empty" | "nothing" | "more" | undefined {
  if (view.rows.length > 0) return undefined;
  if (view.more) return "more";
  if (filtered) return "nothing";
  return view.total === 0 || (view.total === undefined && page === 0) ? "empty" : undefined;
}

/** A list that is loaded whole, or as much of it as is read. */
export function whole<R>(key: unknown[], load: (signal: AbortSignal) => Promise<R[] | Whole<R>>): Source<R> {
  return {
    key,
    kind: "all",
    load: async (_, __, signal) => {
      const loaded = await load(signal);
      const { rows, more } = Array.isArray(loaded) ? { rows: loaded, more: false } : loaded;
      return { rows, total: rows.length, more };
    },
  };
}

/** A list out of Resource Graph: filter, order and pages are parts of the query.
 * @param base query up to where rows are chosen
 * @param text column or expression that the free filter looks into
 * @param columns expression of each column that can be sorted or filtered by, by the column's id */
export function graphSource<R>(key: unknown[], base: string, text: string, columns: Record<string, string>, order: string): Source<R> {
  return {
    key,
    kind: "server",
    load: async (query, _, signal) => {
      const answer = await runQuery<R>(graphText(base, text, columns, order, query), { top: query.size, skip: query.page * query.size, signal });
      return { rows: answer.rows, total: answer.total, more: (query.page + 1) * query.size < answer.total };
    },
  };
}

/** Id of the filter by a tag. */
export const TAG = "tag";

/** A tag as the value of its filter. */
export const tagValue = (name: string, value: string): string => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;

/** The condition of rows that have the tag of {@link tagValue}. What an address was made to say may be none: it fits no row. */
function taggedWith(text: string): string {
  try {
    const [name = "", value = ""] = text.split("=", 2).map(decodeURIComponent);
    return `where tostring(tags[${quote(name)}]) =~ ${quote(value)}`;
  } catch {
    return "where false";
  }
}

/** The text of KQL for what a list shows. */
export function graphText(base: string, text: string, columns: Record<string, string>, order: string, query: ListQuery): string {
  const parts = [base];
  if (query.filter) parts.push(`where ${text} contains ${quote(query.filter)}`);
  for (const [name, value] of Object.entries(query.facets)) {
    if (name === TAG && value) parts.push(taggedWith(value));
    const column = columns[name];
    if (column && value) parts.push(`where ${column} =~ ${quote(value)}`);
  }
  const column = query.sort && columns[query.sort.column];
  parts.push(column ? `order by ${column} ${query.sort?.down ? "desc" : "asc"}` : `order by ${order} asc`);
  return parts.join(" | ");
}

/** Filter, order and page of rows that are all here. */
export function cut<R>(rows: R[], columns: { id: string; text: (row: R) => string }[], facets: { id: string; value?: (row: R) => string }[], query: ListQuery): Rows<R> {
  const wanted = query.filter.trim().toLowerCase();
  let shown = rows.filter((row) => wanted === "" || columns.some((column) => column.text(row).toLowerCase().includes(wanted)));
  for (const facet of facets) {
    const value = query.facets[facet.id];
    if (value && facet.value) shown = shown.filter((row) => facet.value?.(row).toLowerCase() === value.toLowerCase());
  }
  const by = columns.find((column) => column.id === query.sort?.column);
  if (by) {
    const sign = query.sort?.down ? -1 : 1;
    shown = [...shown].sort((a, b) => sign * by.text(a).localeCompare(by.text(b), undefined, { numeric: true, sensitivity: "base" }));
  }
  const begin = query.page * query.size;
  return { rows: shown.slice(begin, begin + query.size), total: shown.length, more: begin + query.size < shown.length };
}
