/** Where the inventory of certificates gets its rows. */

import { armPath, type Resource } from "../../api/arm";
import { readPage } from "../../api/pager";
import type { Source } from "../../frames/listSource";

export interface Certificate extends Omit<Resource, "properties"> {
  properties: {
    serialNumber: string;
    deviceId: string;
    issuer: { subject?: string; thumbprint?: string; certificateAuthorityResourceId?: string };
    state: string;
    validityNotBefore: string;
    validityNotAfter: string;
    thumbprint: string;
    deviceResourceId?: string;
  };
}

const DAY_MS = 86_400_000;
/** Days within which an end is near. */
export const NEAR = 30;

/** Whole days from `now` to the end; negative when it is over. */
export function daysLeft(end: string, now: number): number {
  return Math.floor((new Date(end).getTime() - now) / DAY_MS);
}

/** @param only whole id of the one device whose certificates are shown, name of the one policy that issued them */
export function inventorySource(namespace: string, only: { device?: string | undefined; policy?: string | undefined }, now: () => number = () => new Date().getTime()): Source<Certificate> {
  return {
    key: ["inventory", namespace.toLowerCase(), only],
    kind: "continued",
    load: async (query, after, signal) => {
      const days = Number(query.facets["expires"]);
      const options = {
        deviceId: only.device ?? (query.filter.trim() || undefined),
        issuer: only.policy,
        state: query.facets["state"],
        expiresBefore: days > 0 ? new Date(now() + days * DAY_MS).toISOString() : undefined,
        $top: query.size,
      };
      const page = await readPage<Certificate>(after ?? armPath(`${namespace}/certificates`, undefined, options), "arm", signal);
      return { rows: page.rows, total: undefined, more: page.next !== undefined, next: page.next };
    },
  };
}
