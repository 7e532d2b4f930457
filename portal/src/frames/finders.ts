/** Ways to what a drop-down did not read: by a part of a name where the server searches, by the whole name where it only knows that. */

import { read, type Resource } from "../api/arm";
import { Fault } from "../api/fault";
import { query, quote } from "../api/graphQuery";

export interface Choice {
  value: string;
  label: string;
  /** Why it cannot be chosen. */
  off?: string | undefined;
}

export interface Finder {
  /** Names what is searched, in the cache. */
  key: unknown[];
  /** The whole name must be typed. */
  exact?: boolean;
  find: (text: string, signal: AbortSignal) => Promise<Choice[]>;
}

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

/** What is called exactly as is typed: by `get`, which fails with 404 or 400 where there is nothing of that name. */
export function exactFinder(key: unknown[], get: (text: string, signal: AbortSignal) => Promise<Choice>): Finder {
  return {
    key: ["exact", ...key],
    exact: true,
    find: async (text, signal) => {
      // No name has one, and the call would be one of what lies below.
      if (text.includes("/")) return [];
      try {
        return [await get(text, signal)];
      } catch (thrown) {
        if (thrown instanceof Fault && (thrown.status === 404 || thrown.status === 400)) return [];
        throw thrown;
      }
    },
  };
}

/** A resource of the list at `list` by its name. */
export const namedFinder = (list: string, choiceOf: (row: Resource) => Choice): Finder =>
  exactFinder([list.toLowerCase()], async (text, signal) => choiceOf(await read<Resource>(`${list}/${text}`, undefined, signal)));

/** Choices out of those that are here, and out of what the server finds; none twice. */
export function fittingChoices(here: Choice[], found: Choice[], text: string): Choice[] {
  const wanted = text.trim().toLowerCase();
  const known = new Set(here.map((choice) => choice.value.toLowerCase()));
  return [...here.filter((choice) => choice.label.toLowerCase().includes(wanted)), ...found.filter((choice) => !known.has(choice.value.toLowerCase()))];
}
