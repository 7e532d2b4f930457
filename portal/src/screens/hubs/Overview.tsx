import { Button } from "@fluentui/react-components";
import { ArrowClockwiseRegular, DeleteRegular } from "@fluentui/react-icons";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read } from "../../api/arm";
import { groupId, pageOf, parseId } from "../../api/resourceId";
import { CommandBar } from "../../frames/CommandBar";
import { Essentials } from "../../frames/Essentials";
import { useSubscription } from "../../frames/load";
import { soon } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { t } from "../../texts";
import { tagsText } from "../../tagsText";
import { DeleteResource } from "../common/DeleteResource";
import { lockedBy, useLocks } from "../common/locksOver";
import { Tile, Tiles } from "../common/Tile";
import { hostOf, linkOf, tierText } from "./hub";
import { useConnected, useQuotas } from "./numbers";

interface Stats {
  totalDeviceCount: number;
  enabledDeviceCount: number;
  disabledDeviceCount: number;
}

const JsonPane = soon(() => import("../common/JsonPane"));

export default function Overview({ id, resource }: BladeProps) {
  const client = useQueryClient();
  const [pane, setPane] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const host = hostOf(resource);
  const stats = useQuery({ queryKey: ["hub-stats", id.id.toLowerCase()], queryFn: ({ signal }) => read<Stats>(`${id.id}/IotHubStats`, undefined, signal) });
  const quotas = useQuotas(id.id);
  const locks = useLocks(id.id);
  const connected = useConnected(host);
  const subscription = useSubscription(id.subscription);
  const users = Object.keys(resource?.identity?.userAssignedIdentities ?? {}).length;
  const identity = [resource?.identity?.principalId ? t.hubs.systemIdentity : "", users > 0 ? t.hubs.userIdentities(users) : ""].filter((part) => part).join(", ");
  const namespace = linkOf(resource).namespaceResourceId;
  const text = (name: string) => String(resource?.properties?.[name] ?? "");
  return (
    <>
      <CommandBar
        commands={[
          { id: "refresh", label: t.list.refresh, icon: <ArrowClockwiseRegular />, onClick: () => void client.invalidateQueries() },
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: { action: "Microsoft.Devices/IotHubs/delete", scope: id.id }, off: lockedBy(locks.data), onClick: () => setDeleting(true) },
        ]}
      />
      <Essentials
        aside={<Button onClick={() => setPane(true)}>{t.blades.json}</Button>}
        facts={[
          { label: t.hubs.status, value: text("state") },
          { label: t.hubs.hostName, value: host },
          { label: t.columns.group, value: id.group, to: pageOf(groupId(id.subscription ?? "", id.group ?? "")) },
          { label: t.columns.location, value: resource?.location },
          { label: t.columns.subscription, value: subscription?.displayName ?? id.subscription, to: pageOf(`/subscriptions/${id.subscription}`) },
          { label: t.hubs.tier, value: tierText(resource?.sku) },
          { label: t.hubs.limit, value: t.hubs.noLimit },
          { label: t.hubs.minTls, value: resource && (text("minTlsVersion") || "1.2") },
          { label: t.hubs.adrNamespace, value: namespace ? (parseId(namespace)?.name ?? namespace) : resource && t.hubs.noNamespace, to: namespace ? pageOf(namespace) : undefined },
          { label: t.blades.identity, value: identity || (resource && t.common.none), to: pageOf(id.id, "identity") },
          { label: t.columns.tags, value: resource && (tagsText(resource.tags) || t.common.none), to: pageOf(id.id, "tags") },
        ]}
      />
      <Tiles>
        <Tile of={stats} label={t.hubs.devices} to={pageOf(id.id, "devices")} number={stats.data?.totalDeviceCount}>
          {stats.data && t.hubs.enabledOf(stats.data.enabledDeviceCount, stats.data.disabledDeviceCount)}
        </Tile>
        <Tile of={connected} label={t.hubs.connected} number={connected.data} />
        <Tile of={quotas} label={t.hubs.messages} to={pageOf(id.id, "events")} number={quotas.data?.messages} />
      </Tiles>
      <Pane open={pane} wide title={t.blades.json} onClose={() => setPane(false)}>
        <JsonPane id={id} />
      </Pane>
      <DeleteResource id={id} open={deleting} title={t.hubs.deleteTitle(id.name)} onClose={() => setDeleting(false)}>
        <p>{t.hubs.deleteText}</p>
        {stats.data && <p>{t.hubs.enabledOf(stats.data.enabledDeviceCount, stats.data.disabledDeviceCount)}</p>}
      </DeleteResource>
    </>
  );
}
