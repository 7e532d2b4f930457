/** Filters by the values that a list of resources has: of some columns, and of tags. */

import { useQuery } from "@tanstack/react-query";
import { query } from "../../api/graphQuery";
import type { Column, Facet } from "../../frames/List";
import { TAG, tagValue } from "../../frames/listSource";
import { t } from "../../texts";
import type { Row, Rows } from "./columns";

/** Combinations of values that are looked at: a page of Resource Graph. */
const COMBINATIONS = 1000;
/** Values that a filter offers; others are found by typing. */
const OFFERED = 200;

type Combination = Record<string, string | null>;

/** Filters of `rows`, named after the columns that they are of. */
export function useFound(rows: Rows, columns: Column<Row>[]): Facet<Row>[] {
  const found = useQuery({
    queryKey: ["found", rows.base, rows.filters],
    queryFn: async ({ signal }) => {
      const by = Object.entries(rows.filters).map(([id, expression]) => `of_${id} = ${expression}`);
      const text = `${rows.base} | summarize number = count() by ${[...by, "of_tags = tostring(tags)"].join(", ")}`;
      const { rows: combinations, total } = await query<Combination>(text, { top: COMBINATIONS, signal });
      return { combinations, more: total > combinations.length };
    },
    staleTime: 30_000,
  });
  return facetsOf(found.data ?? { combinations: [], more: false }, Object.keys(rows.filters), (id) => columns.find((column) => column.id === id)?.label ?? id);
}

/** The filters that combinations of values give.
 * @param more whether there are combinations that were not read */
export function facetsOf({ combinations, more }: { combinations: Combination[]; more: boolean }, ids: string[], labelOf: (id: string) => string): Facet<Row>[] {
  const offered = (pairs: [value: string, label: string][]) => {
    const all = choices(pairs);
    return { choices: all.slice(0, OFFERED), more: more || all.length > OFFERED };
  };
  const facets = ids.map((id) => ({ id, label: labelOf(id), ...offered(combinations.map((each) => [each[`of_${id}`] ?? "", each[`of_${id}`] ?? ""])) }));
  const tags = combinations.flatMap((each) => tagsOf(each["of_tags"] ?? "").map(([name, value]): [string, string] => [tagValue(name, value), `${name}: ${value}`]));
  return [...facets, { id: TAG, label: t.list.tag, ...offered(tags) }];
}

function tagsOf(text: string): [string, string][] {
  try {
    const tags = JSON.parse(text || "{}") as Record<string, unknown> | null;
    return Object.entries(tags ?? {}).map(([name, value]) => [name, String(value)]);
  } catch {
    return [];
  }
}

/** Each value once, ignoring case, by its label. */
function choices(pairs: [value: string, label: string][]): { value: string; label: string }[] {
  const known = new Map(pairs.filter(([value]) => value !== "").map(([value, label]) => [value.toLowerCase(), { value, label }]));
  return [...known.values()].sort((a, b) => a.label.localeCompare(b.label));
}
