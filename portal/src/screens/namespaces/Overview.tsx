import { Button } from "@fluentui/react-components";
import { ArrowClockwiseRegular, DeleteRegular } from "@fluentui/react-icons";
import { useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useState } from "react";
import { asFault } from "../../api/fault";
import { groupId, isType, pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { CommandBar } from "../../frames/CommandBar";
import { Essentials } from "../../frames/Essentials";
import { Failure } from "../../frames/Failure";
import { useResource, useResources, useSubscription } from "../../frames/load";
import { soon } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { HUB } from "../../resources";
import { Mark } from "../../frames/Mark";
import { t } from "../../texts";
import { tagsText } from "../../tagsText";
import { lockedBy, useLocks } from "../common/locksOver";
import { Tile, Tiles } from "../common/Tile";
import { missing, NEAR_DAYS, useDeviceCount, useEnding, useHolders, useStandings } from "./facts";
import { DeleteNamespace } from "./DeleteNamespace";


const JsonPane = soon(() => import("../common/JsonPane"));

export default function Overview({ id, resource }: BladeProps) {
  const client = useQueryClient();
  const [pane, setPane] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const locks = useLocks(id.id);
  const credential = useResource(`${id.id}/credentials/default`);
  const policies = useResources(`${id.id}/credentials/default/policies`);
  const holders = useHolders(id.id);
  const standings = useStandings(id.id);
  const devices = useDeviceCount(id.id);
  const ending = useEnding(id.id);
  const subscription = useSubscription(id.subscription);
  const hubs = holders.data?.filter((row) => isType(row.type, HUB));
  const services = holders.data?.filter((row) => !isType(row.type, HUB));
  const refresh = () => void client.invalidateQueries();
  const principal = resource?.identity?.principalId;
  const group = groupId(id.subscription ?? "", id.group ?? "");
  return (
    <>
      <CommandBar
        commands={[
          { id: "refresh", label: t.list.refresh, icon: <ArrowClockwiseRegular />, onClick: refresh },
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: { action: "Microsoft.DeviceRegistry/namespaces/delete", scope: id.id }, off: lockedBy(locks.data), onClick: () => setDeleting(true) },
        ]}
      />
      <Essentials
        aside={<Button onClick={() => setPane(true)}>{t.blades.json}</Button>}
        facts={[
          { label: t.columns.group, value: id.group, to: pageOf(group) },
          { label: t.columns.location, value: resource?.location },
          { label: t.columns.subscription, value: subscription?.displayName ?? id.subscription, to: pageOf(`/subscriptions/${id.subscription}`) },
          { label: t.groups.subscriptionId, value: id.subscription },
          { label: t.namespaces.state, value: String(resource?.properties?.["provisioningState"] ?? "") },
          { label: t.namespaces.uuid, value: String(resource?.properties?.["uuid"] ?? "") },
          { label: t.namespaces.identity, value: principal, show: principal ? t.namespaces.systemIs(principal) : resource && t.namespaces.identityOff },
          { label: t.namespaces.credential, value: credentialText(credential), to: pageOf(id.id, "policies") },
          { label: t.columns.tags, value: resource && (tagsText(resource.tags) || t.common.none), to: pageOf(id.id, "tags") },
        ]}
      />
      <Tiles>
        <Tile of={policies} label={t.namespaces.policies} to={pageOf(id.id, "policies")} number={policies.data && (policies.data.more ? `${policies.data.rows.length}+` : policies.data.rows.length)} />
        <Tile of={holders} label={t.namespaces.linkedHubs} number={hubs?.length}>
          {hubs?.map((row) => <LinkLine key={row.id} to={pageOf(row.id)} name={row.name} />)}
          {standings.error && <Failure fault={standings.error} retry={() => void standings.refetch()} />}
          {missing(standings.data ?? []).map((each) => (
            <Mark key={each.policy + each.hub} failed={each.state === "Failed"}>
              {t.namespaces.notOn(each.policy, each.hub)}
            </Mark>
          ))}
        </Tile>
        <Tile of={holders} label={t.namespaces.linkedServices} number={services?.length}>
          {services?.map((row) => <LinkLine key={row.id} to={pageOf(row.id)} name={row.name} />)}
        </Tile>
        <Tile of={devices} label={t.namespaces.devices} to={pageOf(id.id, "devices")} number={devices.data} />
        <Tile of={ending} label={t.namespaces.ending(NEAR_DAYS)} to={pageOf(id.id, "certificates")} number={ending.data && (ending.data.more ? `${ending.data.count}+` : ending.data.count)} />
      </Tiles>
      <Pane open={pane} wide title={t.blades.json} onClose={() => setPane(false)}>
        <JsonPane id={id} />
      </Pane>
      <DeleteNamespace id={id} open={deleting} onClose={() => setDeleting(false)} />
    </>
  );
}

/** Whether the namespace has a root CA; it has none only where the server says that there is none. */
function credentialText(credential: UseQueryResult<unknown>): string | undefined {
  if (credential.data) return t.namespaces.enabled;
  if (!credential.error) return undefined;
  return asFault(credential.error).status === 404 ? t.namespaces.notEnabled : t.common.unknown;
}

function LinkLine({ to, name }: { to: string; name: string }) {
  return (
    <div>
      <AppLink to={to}>{name}</AppLink>
    </div>
  );
}
