/** Ways to resources that a drop-down did not read. */

import { read, type Resource } from "../api/arm";
import { query, quote } from "../api/graphQuery";
import { exactFinder, type Choice, type Finder } from "./finders";

/** Rows that are asked for at once. */
const TOP = 50;

/** Rows of Resource Graph whose name holds what is typed.
 * @param base query up to where rows are chosen
 * @param choiceOf also where a field keeps what it needs of a row that it did not read */
export function graphFinder<R>(base: string, choiceOf: (row: R) => Choice): Finder {
  return {
    key: ["graph", base],
    find: async (text, signal) => (await query<R>(`${base} | where name contains ${quote(text)} | order by name asc`, { top: TOP, signal })).rows.map(choiceOf),
  };
}

/** A resource of the list at `list` by its name. */
export const namedFinder = (list: string, choiceOf: (row: Resource) => Choice): Finder =>
  exactFinder([list.toLowerCase()], async (text, signal) => choiceOf(await read<Resource>(`${list}/${text}`, undefined, signal)));
