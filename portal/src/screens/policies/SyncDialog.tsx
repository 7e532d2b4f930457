import type { UseQueryResult } from "@tanstack/react-query";
import { armPath } from "../../api/arm";
import { pageOf, type ResourceId } from "../../api/resourceId";
import { Confirm } from "../../frames/Confirm";
import { Loaded } from "../../frames/Loaded";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { concerned, type Standing } from "../namespaces/facts";

/** Brings policies to hubs.
 * @param policies names, or undefined for all
 * @param hubs names, or undefined for all that are linked */
export function synchronize(namespace: ResourceId, policies: string[] | undefined, hubs?: string[]): string {
  const title = policies ? t.policies.syncPlan(policies.length, namespace.name) : t.policies.syncAllPlan(namespace.name);
  const body = policies || hubs ? { ...(policies ? { policies } : {}), ...(hubs ? { hubs } : {}) } : undefined;
  return deployments.start({
    title,
    steps: [{ title, method: "POST", path: armPath(`${namespace.id}/credentials/default/synchronize`), body, byPart: true }],
    target: pageOf(namespace.id, "policies"),
  });
}

/** What a synchronization will do, said before: it cannot be undone, and is not begun before that is known. */
export function SyncDialog({ namespace, policies, standings, onClose }: { namespace: ResourceId; policies: string[] | "all" | undefined; standings: UseQueryResult<Standing[]>; onClose: () => void }) {
  return (
    <Confirm
      open={policies !== undefined}
      title={policies === "all" ? t.policies.syncAll : t.policies.syncTitle(policies?.length ?? 0)}
      action={policies === "all" ? t.policies.syncAll : t.policies.sync}
      blocked={standings.data === undefined}
      onConfirm={() => void synchronize(namespace, policies === "all" ? undefined : policies)}
      onClose={onClose}
    >
      <p>{t.policies.syncText}</p>
      <Loaded of={standings}>
        {(all) => {
          const hubs = concerned(all, policies === "all" ? undefined : policies);
          if (hubs.length === 0) return <p>{t.policies.noHubs}</p>;
          return (
            <ul aria-label={t.policies.hubs}>
              {hubs.map(({ hub, gets }) => (
                <li key={hub}>
                  {hub}: {gets.length === 0 ? t.policies.inStep : t.policies.behind(gets)}
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </Confirm>
  );
}
