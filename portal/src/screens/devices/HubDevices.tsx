/** Devices of hubs in a list: of one hub, or of all. Enabling, disabling and deleting many gives each its own result. */

import { AddRegular, DeleteRegular, PauseRegular, PlayRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { later } from "../../frames/later";
import { List, type Column, type Facet } from "../../frames/List";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { hostIn, useHubs } from "../provisioning/hubs";
import type { AddDeviceProps } from "./AddDevicePane";
import { timeText } from "../../api/hubData";
import { allDevices, deleteSteps, hubDevices, statusSteps, type DeviceRow } from "./devices";
import { devicePage } from "./paths";

const AddDevicePane = later<AddDeviceProps>(() => import("./AddDevicePane"));

function columnsOf(oneHub: boolean): Column<DeviceRow>[] {
  const columns: Column<DeviceRow>[] = [
    { id: "id", label: t.devices.id, text: (row) => row.id, show: (row) => <AppLink to={devicePage(row.hubId, row.id)}>{row.id}</AppLink> },
    { id: "hub", label: t.devices.hub, text: (row) => row.hub, show: (row) => <AppLink to={pageOf(row.hubId)}>{row.hub}</AppLink>, hidden: oneHub },
    { id: "status", label: t.devices.status, text: (row) => (row.status === "disabled" ? t.devices.disabled : t.devices.enabled) },
    { id: "authentication", label: t.devices.authentication, text: (row) => t.devices.kinds[row.authentication] ?? row.authentication },
    ...(oneHub
      ? [
          { id: "connection", label: t.devices.connection, text: (row: DeviceRow) => row.connection ?? "" },
          { id: "activity", label: t.devices.lastActivity, text: (row: DeviceRow) => timeText(row.lastActivity) },
        ]
      : []),
    { id: "tags", label: t.devices.tags, text: (row) => (Object.keys(row.tags).length > 0 ? JSON.stringify(row.tags) : ""), unsorted: true },
  ];
  return oneHub ? columns.map((column) => ({ ...column, unsorted: true })) : columns;
}

const STATUS: Facet<DeviceRow> = {
  id: "status",
  label: t.devices.status,
  choices: [
    { value: "enabled", label: t.devices.enabled },
    { value: "disabled", label: t.devices.disabled },
  ],
};
const CONNECTION: Facet<DeviceRow> = { id: "connection", label: t.devices.connection, choices: ["Connected", "Disconnected"].map((value) => ({ value, label: value })) };

/** Hubs that the filter offers. */
const OFFERED = 200;

interface Hub {
  id: string;
  name: string;
  host: string;
}

type Doing = { what: "enable" | "disable" | "delete"; rows: DeviceRow[] };

export default function HubDevices({ hub }: { hub?: Hub }) {
  const hubs = useHubs();
  const [adding, setAdding] = useState(false);
  const [doing, setDoing] = useState<Doing | undefined>(undefined);
  const source = useMemo(() => (hub ? hubDevices(hub) : allDevices()), [hub?.host]);
  const columns = useMemo(() => columnsOf(hub !== undefined), [hub !== undefined]);
  const known = useMemo((): Hub[] => [...(hubs.data?.byHost.values() ?? [])].map((row) => ({ id: row.id, name: row.name, host: hostIn(row) })), [hubs.data]);
  const facets = useMemo(
    (): Facet<DeviceRow>[] => (hub ? [STATUS, CONNECTION] : [STATUS, { id: "hub", label: t.devices.hub, choices: known.slice(0, OFFERED).map((each) => ({ value: each.name, label: each.name })), more: hubs.data?.more === true || known.length > OFFERED }]),
    [hub !== undefined, known, hubs.data?.more],
  );
  const hostOf = (row: DeviceRow) => hub?.host ?? known.find((each) => each.id.toLowerCase() === row.hubId.toLowerCase())?.host ?? "";
  const run = ({ what, rows }: Doing) => {
    const steps = what === "delete" ? deleteSteps(rows, hostOf) : statusSteps(rows, hostOf, what === "enable" ? "enabled" : "disabled");
    if (steps.length > 0) deployments.start({ title: titleOf({ what, rows }), steps, independent: true });
  };
  const need = (word: string) => (hub ? { action: `Microsoft.Devices/IotHubs/devices/${word}`, scope: hub.id, data: true } : undefined);
  // Without the hub's host there is no address to write to.
  const none = (rows: DeviceRow[]) => (rows.length === 0 ? t.hubs.markFirst : rows.some((row) => hostOf(row) === "") ? (hubs.isLoading ? t.common.loading : t.devices.hubUnseen) : undefined);
  return (
    <>
      <List
        label={t.devices.title}
        {...(hub ? { finds: t.devices.find } : {})}
        source={source}
        columns={columns}
        rowId={(row) => `${row.hubId}/${row.id}`}
        facets={facets}
        selectable
        commands={(picked) => [
          { id: "add", label: t.devices.add, icon: <AddRegular />, needs: need("write"), onClick: () => setAdding(true) },
          { id: "enable", label: t.devices.enable, icon: <PlayRegular />, needs: need("write"), off: none(picked.rows), onClick: () => run({ what: "enable", rows: picked.rows }) },
          { id: "disable", label: t.devices.disable, icon: <PauseRegular />, needs: need("write"), off: none(picked.rows), onClick: () => setDoing({ what: "disable", rows: picked.rows }) },
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: need("delete"), off: none(picked.rows), onClick: () => setDoing({ what: "delete", rows: picked.rows }) },
        ]}
        empty={
          <>
            <p>{t.devices.empty}</p>
            <p>{t.devices.emptyData}</p>
          </>
        }
      />
      <AddDevicePane open={adding} hubs={hub ? [hub] : known} of={hubs} onClose={() => setAdding(false)} />
      <Confirm open={doing !== undefined} title={doing ? titleOf(doing) : ""} action={doing?.what === "delete" ? t.common.delete : t.devices.disable} onConfirm={() => doing && run(doing)} onClose={() => setDoing(undefined)}>
        <p>{doing?.what === "delete" ? t.devices.deleteText : t.devices.disableText}</p>
        <ul>
          {doing?.rows.slice(0, 20).map((row) => (
            <li key={row.hubId + row.id}>{row.id}</li>
          ))}
          {(doing?.rows.length ?? 0) > 20 && <li>…</li>}
        </ul>
      </Confirm>
    </>
  );
}

function titleOf({ what, rows }: Doing): string {
  const words = { enable: t.devices.enablePlan, disable: t.devices.disablePlan, delete: t.devices.deletePlan };
  return words[what](rows.length);
}
