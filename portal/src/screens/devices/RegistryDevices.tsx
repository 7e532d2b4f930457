import { Text } from "@fluentui/react-components";
import { PauseRegular, PlayRegular } from "@fluentui/react-icons";
import { useQueries } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { armPath } from "../../api/arm";
import { asFault } from "../../api/fault";
import { pageOf, parseId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { List, type Column, type Facet } from "../../frames/List";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { standingsOf, type Standing } from "../namespaces/facts";
import { hubsOf, registrySource, type RegistryRow } from "./devices";
import { namespaceOf, notOn, NotOnBadges } from "./notOn";

/** Devices of namespaces: of one, or of all that one may read. */
export function RegistryDevices({ namespace }: { namespace?: string }) {
  const [shown, setShown] = useState<string[]>([]);
  const source = useMemo(() => registrySource(namespace), [namespace]);
  // Only the namespaces of the page that is shown; who may not read one sees no badges of it, and that there may be some.
  const read = useQueries({
    queries: shown.map(standingsOf),
    combine: (results) => ({ rows: results.flatMap((result) => result.data ?? []), fault: results.find((result) => result.error)?.error ?? undefined }),
  });
  const { rows: standings, fault: unread } = read;
  const columns = useMemo(
    (): Column<RegistryRow>[] => [
      { id: "name", label: t.columns.name, text: (row) => row.name, show: (row) => <AppLink to={pageOf(row.id)}>{row.name}</AppLink> },
      { id: "external", label: t.devices.externalId, text: (row) => row.properties?.externalDeviceId ?? "" },
      { id: "status", label: t.devices.status, text: (row) => (row.properties?.enabled === false ? t.devices.disabled : t.devices.enabled) },
      { id: "namespace", label: t.devices.namespace, text: (row) => parseId(namespaceOf(row.id))?.name ?? "", show: (row) => <AppLink to={pageOf(namespaceOf(row.id))}>{parseId(namespaceOf(row.id))?.name ?? ""}</AppLink>, hidden: namespace !== undefined },
      { id: "hub", label: t.devices.assignedHub, text: (row) => hubsOf(row).join(", "), unsorted: true },
      {
        id: "policy",
        label: t.devices.policy,
        // An export has rows of namespaces whose standings were not read: where a policy is missing is not in it.
        text: (row) => parseId(row.properties?.policy?.resourceId ?? "")?.name ?? "",
        show: (row) => <PolicyCell row={row} standings={standings} />,
      },
      { id: "group", label: t.columns.group, text: (row) => row.resourceGroup, hidden: true, unsorted: true },
    ],
    [standings, namespace],
  );
  const write = (rows: RegistryRow[], enabled: boolean) => {
    const steps = rows.map((row) => ({ title: t.devices.plan(row.name), method: "PATCH" as const, path: armPath(row.id), body: { properties: { enabled } } }));
    deployments.start({ title: enabled ? t.devices.enablePlan(rows.length) : t.devices.disablePlan(rows.length), steps, independent: true });
  };
  return (
    <>
      {unread && <Text block>{t.devices.standingsUnread(asFault(unread).message)}</Text>}
      <List
        label={t.devices.inNamespaces}
        source={source}
        columns={columns}
        rowId={(row) => row.id}
        onShown={(rows) => setShown([...new Set(rows.map((row) => namespaceOf(row.id)))])}
        facets={FACETS}
        selectable
        commands={(picked) => {
          const off = picked.rows.length === 0 ? t.hubs.markFirst : undefined;
          const needs = namespace ? { action: "Microsoft.DeviceRegistry/namespaces/devices/write", scope: namespace } : undefined;
          return [
            { id: "enable", label: t.devices.enable, icon: <PlayRegular />, needs, off, onClick: () => write(picked.rows, true) },
            { id: "disable", label: t.devices.disable, icon: <PauseRegular />, needs, off, onClick: () => write(picked.rows, false) },
          ];
        }}
        empty={t.devices.empty}
      />
    </>
  );
}

const FACETS: Facet<RegistryRow>[] = [
  {
    id: "status",
    label: t.devices.status,
    choices: [
      { value: "true", label: t.devices.enabled },
      { value: "false", label: t.devices.disabled },
    ],
  },
];

function PolicyCell({ row, standings }: { row: RegistryRow; standings: Standing[] }) {
  const policy = row.properties?.policy?.resourceId;
  return (
    <>
      {policy && <AppLink to={pageOf(policy)}>{parseId(policy)?.name ?? policy}</AppLink>} <NotOnBadges at={notOn(row, standings)} />
    </>
  );
}
