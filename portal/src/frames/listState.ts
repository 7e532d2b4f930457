/** What a list shows, kept in the address, so that Back, reload and a shared link show the same. */

import { useRef } from "react";
import { useSearchParams } from "react-router";

export interface ListQuery {
  filter: string;
  /** Chosen value of each filter, by its id. */
  facets: Record<string, string>;
  sort: { column: string; down: boolean } | undefined;
  /** From 0. */
  page: number;
  size: number;
}

export const SIZES = [25, 50, 100];
const SIZE = 50;

export function useListQuery(): [ListQuery, (change: Partial<ListQuery>) => void] {
  const [params, setParams] = useSearchParams();
  const sort = params.get("sort");
  const facets: Record<string, string> = {};
  for (const [name, value] of params) if (name.startsWith("f.")) facets[name.slice(2)] = value;
  const query: ListQuery = {
    filter: params.get("filter") ?? "",
    facets,
    sort: sort ? { column: sort.replace(/^-/, ""), down: sort.startsWith("-") } : undefined,
    page: Math.max(0, Math.trunc(Number(params.get("page") ?? "1")) - 1 || 0),
    size: SIZES.find((size) => String(size) === params.get("size")) ?? SIZE,
  };
  // What was asked for last: a busy page draws it later, and a change that comes before that is made on top of it.
  const newest = useRef({ params, query });
  if (newest.current.params !== params) newest.current = { params, query };
  const change = (what: Partial<ListQuery>) => {
    // Another filter or order begins at the first page.
    const next = { ...newest.current.query, page: 0, ...what };
    newest.current.query = next;
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        for (const name of [...after.keys()]) if (name.startsWith("f.")) after.delete(name);
        const put = (name: string, value: string | undefined) => (value ? after.set(name, value) : after.delete(name));
        put("filter", next.filter);
        put("sort", next.sort && (next.sort.down ? "-" : "") + next.sort.column);
        put("page", next.page > 0 ? String(next.page + 1) : undefined);
        put("size", next.size !== SIZE ? String(next.size) : undefined);
        for (const [name, value] of Object.entries(next.facets)) if (value) after.set(`f.${name}`, value);
        return after;
      },
      { replace: what.page === undefined },
    );
  };
  return [query, change];
}
