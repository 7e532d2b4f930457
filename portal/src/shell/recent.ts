/** Resources that were looked at, newest first: their ids, in this browser, of each person their own; sign-out clears them. */

import { keepOwn, readOwn } from "../auth/kept";

const KEY = "ferrohub.recent";
const KEPT = 12;

export function recent(): string[] {
  try {
    const list = JSON.parse(readOwn(KEY) ?? "[]") as unknown;
    return Array.isArray(list) ? list.filter((id): id is string => typeof id === "string").slice(0, KEPT) : [];
  } catch {
    return [];
  }
}

export function noteRecent(id: string): void {
  const others = recent().filter((each) => each.toLowerCase() !== id.toLowerCase());
  keepOwn(KEY, JSON.stringify([id, ...others].slice(0, KEPT)));
}

/** Takes one that is gone off the list. */
export function forgetRecent(id: string): void {
  keepOwn(KEY, JSON.stringify(recent().filter((each) => !each.toLowerCase().startsWith(id.toLowerCase()))));
}
