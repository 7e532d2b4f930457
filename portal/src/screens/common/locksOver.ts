/** Locks that hold at a scope: its own and those of the scopes above. */

import { useQuery } from "@tanstack/react-query";
import { armPath, type Resource } from "../../api/arm";
import { readAll, type Whole } from "../../api/pager";
import { parseId } from "../../api/resourceId";
import { API } from "../../api/versions";
import { t } from "../../texts";

/** A lock, with the scope that it stands at. */
export interface Lock extends Resource {
  scope: string;
}

export const LOCKS = "/providers/Microsoft.Authorization/locks";

/** The scope of a lock's id. */
export function scopeOf(lock: string): string {
  const at = lock.toLowerCase().lastIndexOf(LOCKS.toLowerCase());
  return at < 0 ? lock : lock.slice(0, at);
}

/** Locks at a scope and at those above it. */
export async function locksOver(id: string, signal: AbortSignal): Promise<Whole<Lock>> {
  const scopes: string[] = [];
  for (let at: string | undefined = id; at !== undefined; at = parseId(at)?.parent) scopes.push(at);
  const lists = await Promise.all(scopes.map((scope) => readAll<Resource>(armPath(scope + LOCKS, API.locks), "arm", signal)));
  const all = new Map(lists.flatMap((list) => list.rows).map((lock) => [lock.id.toLowerCase(), { ...lock, scope: scopeOf(lock.id) }]));
  // The list at a scope has those below it too.
  const rows = [...all.values()].filter((lock) => id.toLowerCase() === lock.scope.toLowerCase() || id.toLowerCase().startsWith(lock.scope.toLowerCase() + "/"));
  return { rows, more: lists.some((list) => list.more) };
}

export const useLocks = (id: string) => useQuery({ queryKey: ["locks", id.toLowerCase()], queryFn: async ({ signal }) => (await locksOver(id, signal)).rows });

/** Why nothing at a scope can be deleted: the first lock that holds there. */
export function lockedBy(locks: Lock[] | undefined): string | undefined {
  const lock = locks?.[0];
  return lock && t.locks.holds(lock.name, parseId(lock.scope)?.name ?? lock.scope);
}
