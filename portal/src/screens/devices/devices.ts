/** Devices of hubs as lists show them, and what is written about many of them. */

import { useQuery } from "@tanstack/react-query";
import { quote } from "../../api/graphQuery";
import { deviceCall, hubPath, hubText, queryHub, readTwin, type Twin } from "../../api/hubData";
import { graphSource, type Source } from "../../frames/listSource";
import type { StepPlan } from "../../shell/deployments";
import { t } from "../../texts";

export interface DeviceRow {
  id: string;
  hub: string;
  hubId: string;
  status: string;
  authentication: string;
  /** ETag of the identity. */
  etag: string;
  statusReason: string | null;
  edge: boolean;
  tags: Record<string, unknown>;
  connection?: string;
  lastActivity?: string;
}

interface GraphRow {
  name: string;
  hub: string;
  hubId: string;
  status: string;
  authenticationType: string;
  tags: Record<string, unknown> | null;
  properties: { etag?: string; statusReason?: string | null; capabilities?: { iotEdge?: boolean } } | null;
}

const GRAPH_COLUMNS = { id: "name", hub: "hub", status: "status", authentication: "authenticationType" };

function fromGraph(row: GraphRow): DeviceRow {
  return {
    id: row.name,
    hub: row.hub,
    hubId: row.hubId,
    status: row.status,
    authentication: row.authenticationType,
    etag: row.properties?.etag ?? "",
    statusReason: row.properties?.statusReason ?? null,
    edge: row.properties?.capabilities?.iotEdge === true,
    tags: row.tags ?? {},
  };
}

/** Devices of every hub that one may read: searched, sorted and paged by Resource Graph. */
export function allDevices(): Source<DeviceRow> {
  const source = graphSource<GraphRow>(["hub-devices"], "iothubdevices", "strcat(name, ' ', hub, ' ', tostring(tags))", GRAPH_COLUMNS, "name");
  return {
    ...source,
    load: async (query, after, signal) => {
      const found = await source.load(query, after, signal);
      return { ...found, rows: found.rows.map(fromGraph) };
    },
  };
}

/** The twin of a device, as every part of its page shows it. */
export const useTwin = (host: string, device: string) => useQuery({ queryKey: ["twin", host, device], queryFn: ({ signal }) => readTwin(host, device, signal) });

/** The query of one hub's list: ids that begin with the filter are looked up, whatever the hub's size. */
export function hubQueryText(filter: string, facets: Record<string, string>): string {
  const conditions: string[] = [];
  if (filter.trim()) conditions.push(`STARTSWITH(deviceId, ${hubText(filter.trim())})`);
  if (facets["status"]) conditions.push(`status = ${hubText(facets["status"])}`);
  if (facets["connection"]) conditions.push(`connectionState = ${hubText(facets["connection"])}`);
  return `SELECT * FROM devices${conditions.length > 0 ? ` WHERE ${conditions.join(" AND ")}` : ""}`;
}

/** A twin as a row: it says of the identity all but its keys. */
export function rowOf(hub: { id: string; name: string }, twin: Twin): DeviceRow {
  return {
    id: twin.deviceId,
    hub: hub.name,
    hubId: hub.id,
    status: twin.status ?? "",
    authentication: twin.authenticationType ?? "",
    etag: twin.deviceEtag ?? "",
    statusReason: twin.statusReason ?? null,
    edge: twin.capabilities?.iotEdge === true,
    tags: twin.tags ?? {},
    connection: twin.connectionState ?? "",
    lastActivity: twin.lastActivityTime ?? "",
  };
}

/** Devices of one hub, with their connections, by the hub's own pages. A page may be short and not the last. */
export function hubDevices(hub: { id: string; name: string; host: string }): Source<DeviceRow> {
  return {
    key: ["devices-of", hub.host],
    kind: "continued",
    load: async (query, after, signal) => {
      const page = await queryHub(hub.host, hubQueryText(query.filter, query.facets), query.size, after, signal);
      const rows = page.rows.map((twin) => rowOf(hub, twin));
      return { rows, total: undefined, more: page.next !== undefined, next: page.next };
    },
  };
}

/** Steps that enable or disable devices: one request each, so that each has its own result. Keys are not sent: they stay. */
export function statusSteps(rows: DeviceRow[], hostOf: (row: DeviceRow) => string, status: "enabled" | "disabled"): StepPlan[] {
  return rows
    .filter((row) => row.status !== status)
    .map((row) => ({
      title: t.devices.plan(row.id),
      ...deviceCall("PUT", hostOf(row), row.id, row.etag || "*", { deviceId: row.id, status, statusReason: row.statusReason, capabilities: { iotEdge: row.edge } }),
    }));
}

export function deleteSteps(rows: DeviceRow[], hostOf: (row: DeviceRow) => string): StepPlan[] {
  return rows.map((row) => ({ title: t.devices.plan(row.id), ...deviceCall("DELETE", hostOf(row), row.id, row.etag || "*") }));
}

export interface NewDevice {
  id: string;
  kind: string;
  autoKeys: boolean;
  primary: string;
  secondary: string;
  primaryThumbprint: string;
  secondaryThumbprint: string;
  enabled: boolean;
  edge: boolean;
}

/** The document of a device that is made. */
export function newDeviceBody(device: NewDevice) {
  const keys = device.kind === "sas" && !device.autoKeys ? { symmetricKey: { primaryKey: device.primary, secondaryKey: device.secondary } } : {};
  const prints = device.kind === "selfSigned" ? { x509Thumbprint: { primaryThumbprint: device.primaryThumbprint, secondaryThumbprint: device.secondaryThumbprint } } : {};
  return { deviceId: device.id, status: device.enabled ? "enabled" : "disabled", capabilities: { iotEdge: device.edge }, authentication: { type: device.kind, ...keys, ...prints } };
}

export function thumbprintFault(text: string): string | undefined {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(text) ? undefined : t.devices.thumbprintRule;
}

/** Devices of namespaces, by Resource Graph. */
export interface RegistryRow {
  id: string;
  name: string;
  resourceGroup: string;
  location: string;
  tags: Record<string, string> | null;
  properties: {
    enabled?: boolean;
    externalDeviceId?: string;
    policy?: { resourceId?: string };
    endpoints?: { outbound?: { assigned?: Record<string, { address?: string }> } };
  } | null;
}

export function registrySource(namespace?: string): Source<RegistryRow> {
  const within = namespace ? ` | where id startswith ${quote(`${namespace}/`)}` : "";
  return graphSource<RegistryRow>(
    ["registry-devices", namespace?.toLowerCase()],
    `resources | where type =~ 'microsoft.deviceregistry/namespaces/devices'${within}`,
    "strcat(name, ' ', tostring(properties.externalDeviceId), ' ', tostring(tags))",
    { name: "name", external: "tostring(properties.externalDeviceId)", status: "tostring(properties.enabled)", namespace: "tostring(split(id, '/')[8])", policy: "tostring(properties.policy.resourceId)" },
    "name",
  );
}

/** Hubs on which a device is, by the names that the registry has for them. */
export function hubsOf(row: Pick<RegistryRow, "properties">): string[] {
  return Object.keys(row.properties?.endpoints?.outbound?.assigned ?? {});
}

export const regeneratePath = (host: string): string => hubPath(host, "/devices/keys/regenerate");
