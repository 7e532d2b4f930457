/** Ways to what a drop-down did not read: by a part of a name where the server searches, by the whole name where it only knows that. */

import { Fault } from "../api/fault";

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

/** Choices out of those that are here, and out of what the server finds; none twice. */
export function fittingChoices(here: Choice[], found: Choice[], text: string): Choice[] {
  const wanted = text.trim().toLowerCase();
  const known = new Set(here.map((choice) => choice.value.toLowerCase()));
  return [...here.filter((choice) => choice.label.toLowerCase().includes(wanted)), ...found.filter((choice) => !known.has(choice.value.toLowerCase()))];
}
