/** Credential policies of a namespace: the list, creating one, and bringing them to the hubs. */

import { Button, Text } from "@fluentui/react-components";
import { AddRegular, ArrowSyncRegular, DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { armPath, type Resource } from "../../api/arm";
import { asFault } from "../../api/fault";
import { readAll } from "../../api/pager";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { CommandBar } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Failure } from "../../frames/Failure";
import { List as ListFrame, type Column, type Facet, type Picked } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { soon } from "../../frames/later";
import { useResource } from "../../frames/load";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { Mark } from "../../frames/Mark";
import { t } from "../../texts";
import { credentialStep } from "../namespaces/steps";
import { useStandings, type Standing } from "../namespaces/facts";
import { daysOf, intervalOf, statusOf, subjectOf } from "./policy";
import { SyncDialog } from "./SyncDialog";

const CreatePolicy = soon(() => import("./CreatePolicy"));

export default function List({ id, resource }: BladeProps) {
  const credential = useResource(`${id.id}/credentials/default`);
  const fault = credential.error ? asFault(credential.error) : undefined;
  if (fault && fault.status !== 404) return <Failure fault={fault} retry={() => void credential.refetch()} />;
  if (fault) return <NotEnabled id={id} location={resource?.location ?? ""} />;
  return <Policies id={id} location={resource?.location ?? ""} ready={credential.data !== undefined} hasIdentity={!resource || !!resource.identity?.principalId} />;
}

function NotEnabled({ id, location }: { id: BladeProps["id"]; location: string }) {
  const step = credentialStep(id.id, location);
  return (
    <>
      <Text block>{t.policies.notEnabled}</Text>
      <CommandBar
        commands={[
          {
            id: "enable",
            label: t.policies.enable,
            needs: { action: "Microsoft.DeviceRegistry/namespaces/credentials/write", scope: id.id },
            off: location === "" ? t.common.loading : undefined,
            onClick: () => deployments.start({ title: t.policies.enablePlan(id.name), steps: [step] }),
          },
        ]}
      />
    </>
  );
}

function Policies({ id, location, ready, hasIdentity }: { id: BladeProps["id"]; location: string; ready: boolean; hasIdentity: boolean }) {
  const [creating, setCreating] = useState(false);
  const [syncing, setSyncing] = useState<string[] | "all" | undefined>(undefined);
  const [removing, setRemoving] = useState<Picked<Resource> | undefined>(undefined);
  const standings = useStandings(id.id);
  const path = `${id.id}/credentials/default/policies`;
  const source = useMemo(() => whole(["policies", path.toLowerCase()], (signal) => readAll<Resource>(armPath(path), "arm", signal)), [path]);
  const columns = useColumns(standings.data, standings.error ? t.common.unknown : t.common.loading);
  const need = (action: string) => ({ action: `Microsoft.DeviceRegistry/namespaces/${action}`, scope: id.id });
  const remove = () => {
    const steps = (removing?.rows ?? []).map((policy) => ({ title: t.policies.deletePlan(policy.name), method: "DELETE" as const, path: armPath(policy.id) }));
    deployments.start({ title: steps.length === 1 ? (steps[0]?.title ?? "") : t.policies.deleteMany(steps.length), steps, independent: true });
    removing?.clear();
  };
  return (
    <>
      {standings.error && <Failure fault={standings.error} retry={() => void standings.refetch()} />}
      {!hasIdentity && <Text block>{t.namespaces.noIdentity}</Text>}
      <ListFrame
        label={t.policies.title}
        source={source}
        columns={columns}
        rowId={(policy) => policy.id}
        selectable
        facets={FACETS}
        commands={(picked) => [
          { id: "create", label: t.policies.create, icon: <AddRegular />, needs: need("credentials/policies/write"), off: ready ? undefined : t.common.loading, onClick: () => setCreating(true) },
          {
            id: "sync",
            label: t.policies.sync,
            icon: <ArrowSyncRegular />,
            needs: need("credentials/synchronize/action"),
            off: picked.rows.length === 0 ? t.policies.markFirst : undefined,
            onClick: () => setSyncing(picked.rows.map((policy) => policy.name)),
          },
          { id: "sync-all", label: t.policies.syncAll, icon: <ArrowSyncRegular />, needs: need("credentials/synchronize/action"), onClick: () => setSyncing("all") },
          {
            id: "delete",
            label: t.common.delete,
            icon: <DeleteRegular />,
            needs: need("credentials/policies/delete"),
            off: picked.rows.length === 0 ? t.policies.markFirst : undefined,
            onClick: () => setRemoving(picked),
          },
        ]}
        empty={
          <p>
            {t.policies.empty} <Button onClick={() => setCreating(true)}>{t.policies.create}</Button>
          </p>
        }
      />
      <Pane open={creating} wide title={t.policies.createTitle} onClose={() => setCreating(false)}>
        <CreatePolicy namespace={id} location={location} onDone={() => setCreating(false)} />
      </Pane>
      <SyncDialog namespace={id} policies={syncing} standings={standings} onClose={() => setSyncing(undefined)} />
      <Confirm open={removing !== undefined} title={t.policies.deleteTitle} action={t.common.delete} onConfirm={remove} onClose={() => setRemoving(undefined)}>
        <p>{t.policies.deleteText}</p>
        <p>{removing?.rows.map((policy) => policy.name).join(", ")}</p>
      </Confirm>
    </>
  );
}

const FACETS: Facet<Resource>[] = [
  { id: "status", label: t.policies.status, choices: [t.policies.enabled, t.policies.disabled].map((value) => ({ value, label: value })), value: statusOf },
];

/** @param unread what stands where it is not known how a policy stands */
function useColumns(standings: Standing[] | undefined, unread: string): Column<Resource>[] {
  return useMemo(() => {
    const of = (policy: Resource) => (standings ?? []).filter((standing) => standing.policy.toLowerCase() === policy.name.toLowerCase());
    const synced = (policy: Resource) => of(policy).filter((standing) => standing.state === "Synchronized").length;
    return [
      { id: "name", label: t.columns.name, text: (policy) => policy.name, show: (policy) => <AppLink to={pageOf(policy.id)}>{policy.name}</AppLink> },
      { id: "days", label: t.policies.days, text: (policy) => String(daysOf(policy) ?? "") },
      { id: "interval", label: t.policies.interval, text: intervalOf },
      { id: "status", label: t.policies.status, text: statusOf },
      {
        id: "hubs",
        label: t.policies.hubs,
        text: (policy) => (standings ? t.policies.synced(synced(policy), of(policy).length) : unread),
        show: (policy) =>
          standings ? (
            <>
              {t.policies.synced(synced(policy), of(policy).length)}{" "}
              {of(policy)
                .filter((standing) => standing.state !== "Synchronized")
                .map((standing) => (
                  <Mark key={standing.hub} failed={standing.state === "Failed"} why={standing.error?.message}>
                    {t.policies.notOn(standing.hub)}
                  </Mark>
                ))}
            </>
          ) : (
            unread
          ),
        unsorted: true,
      },
      { id: "subject", label: t.policies.subject, text: subjectOf, hidden: true },
      { id: "thumbprint", label: t.policies.thumbprint, text: (policy) => of(policy)[0]?.thumbprint ?? "", hidden: true },
    ];
  }, [standings, unread]);
}
