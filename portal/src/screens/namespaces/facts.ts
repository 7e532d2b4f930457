/** What stands around a namespace: hubs and services that are linked to it, where each policy stands on each hub. */

import { useQuery } from "@tanstack/react-query";
import { armPath } from "../../api/arm";
import { Fault } from "../../api/fault";
import { query, queryAll, quote } from "../../api/graphQuery";
import { readAll, readPage } from "../../api/pager";
import { HUB, PROVISIONING } from "../../resources";
import { t } from "../../texts";
import type { Row } from "../common/columns";

/** Whether a hub trusts a policy's CA. */
export interface Standing {
  hub: string;
  hubResourceId: string;
  policy: string;
  policyResourceId: string;
  thumbprint: string;
  state: "Synchronized" | "Pending" | "Failed" | "Undone";
  lastAttempt?: string;
  error?: { code: string; message: string };
}

/** The reading of where each policy of a namespace stands. */
export const standingsOf = (namespace: string) => ({
  queryKey: ["standings", namespace.toLowerCase()],
  queryFn: ({ signal }: { signal: AbortSignal }) => readStandings(namespace, signal),
});

/** Where each policy stands on each hub; nowhere in a namespace without a credential, which has no policies. */
export async function readStandings(namespace: string, signal: AbortSignal): Promise<Standing[]> {
  try {
    return (await readAll<Standing>(armPath(`${namespace}/credentials/default/synchronization`), "arm", signal)).rows;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.status === 404) return [];
    throw thrown;
  }
}

export const useStandings = (namespace: string) => useQuery(standingsOf(namespace));

/** Hubs and provisioning services whose documents name the namespace, whatever member they do it in. */
function linkedTo(namespace: string): string {
  return `resources | where type in~ (${quote(HUB)}, ${quote(PROVISIONING)}) | where tostring(properties) contains ${quote(`${namespace}"`)} | project id, name, type, resourceGroup, location | order by name asc`;
}

export const useHolders = (namespace: string) =>
  useQuery({ queryKey: ["holders", namespace.toLowerCase()], queryFn: async ({ signal }) => (await queryAll<Row>(linkedTo(namespace), signal)).rows });

export const useDeviceCount = (namespace: string) =>
  useQuery({
    queryKey: ["device-count", namespace.toLowerCase()],
    queryFn: async ({ signal }) => {
      const text = `resources | where type =~ 'microsoft.deviceregistry/namespaces/devices' | where id startswith ${quote(`${namespace}/`)} | count`;
      const count = (await query<{ Count?: number }>(text, { signal })).rows[0]?.Count;
      if (count === undefined) throw new Fault({ status: 0, code: "NoCount", message: t.namespaces.noCount });
      return count;
    },
  });

/** Days within which an end is near. */
export const NEAR_DAYS = 30;

/** How many certificates end soon: of the first page, and whether there are more. */
export const useEnding = (namespace: string) =>
  useQuery({
    queryKey: ["ending", namespace.toLowerCase()],
    queryFn: async ({ signal }) => {
      const before = new Date(new Date().getTime() + NEAR_DAYS * 86_400_000).toISOString();
      const page = await readPage<unknown>(armPath(`${namespace}/certificates`, undefined, { expiresBefore: before, state: "Active" }), "arm", signal);
      return { count: page.rows.length, more: page.next !== undefined };
    },
  });

/** Policies of a namespace that are missing on a hub. */
export function missing(standings: Standing[]): Standing[] {
  return standings.filter((standing) => standing.state !== "Synchronized");
}

/** Which hubs a synchronization concerns, and the policies that each gets.
 * @param policies names, or undefined for all */
export function concerned(standings: Standing[], policies: string[] | undefined): { hub: string; gets: string[] }[] {
  const wanted = policies && new Set(policies.map((name) => name.toLowerCase()));
  const chosen = standings.filter((standing) => !wanted || wanted.has(standing.policy.toLowerCase()));
  const hubs = [...new Set(chosen.map((standing) => standing.hub))].sort();
  return hubs.map((hub) => ({ hub, gets: chosen.filter((standing) => standing.hub === hub && standing.state !== "Synchronized").map((standing) => standing.policy) }));
}
