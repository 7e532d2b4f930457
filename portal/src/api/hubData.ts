/** The service API of a hub: identities, twins, queries. Reached below this origin, so that its name need not be resolved. */

import { Fault } from "./fault";
import { send, withQuery, type Method } from "./http";
import { readContinued, type Page } from "./pager";
import { API } from "./versions";
import { t } from "../texts";
import { patched, written } from "../twinRules";
import { isDots, segment } from "../wellFormed";

export interface Keys {
  primaryKey?: string | null;
  secondaryKey?: string | null;
}

export interface Thumbprints {
  primaryThumbprint?: string | null;
  secondaryThumbprint?: string | null;
}

/** An identity as the hub gives it: with its keys. Lists and pages show twins, which have none. */
export interface Device {
  deviceId: string;
  etag?: string;
  generationId?: string;
  status: "enabled" | "disabled";
  statusReason?: string | null;
  connectionState?: string;
  connectionStateUpdatedTime?: string;
  lastActivityTime?: string;
  capabilities?: { iotEdge?: boolean };
  authentication?: { type?: string; symmetricKey?: Keys; x509Thumbprint?: Thumbprints };
}

export interface Twin {
  deviceId: string;
  etag?: string;
  /** ETag of the identity. */
  deviceEtag?: string;
  status?: string;
  statusReason?: string | null;
  connectionState?: string;
  authenticationType?: string;
  x509Thumbprint?: Thumbprints;
  capabilities?: { iotEdge?: boolean };
  lastActivityTime?: string;
  version?: number;
  tags?: Record<string, unknown>;
  properties?: { desired?: Record<string, unknown>; reported?: Record<string, unknown> };
}

/** An event of a hub's log. */
export interface HubEvent {
  partition: number;
  sequenceNumber: number;
  offset: string;
  enqueuedTimeUtc: string;
  systemProperties: Record<string, string>;
  applicationProperties: Record<string, string>;
  /** Base64. */
  body: string;
}

/** The time that stands for "never". */
const NEVER = "0001-01-01T00:00:00Z";

/** Path of a call on the host `host` of a hub, on this origin. */
export function hubPath(host: string, path: string): string {
  return withQuery(`/at/${host}${path}`, { "api-version": API.hubData });
}

export function devicePath(host: string, id: string): string {
  return hubPath(host, `/devices/${segment(id)}`);
}

export function twinPath(host: string, id: string): string {
  return hubPath(host, `/twins/${segment(id)}`);
}

/** A page of a query in IoT Hub's language. */
export function queryHub<T = Twin>(host: string, text: string, size: number, after?: string, signal?: AbortSignal): Promise<Page<T>> {
  return readContinued<T>({ method: "POST", path: hubPath(host, "/devices/query"), audience: "hub", body: { query: text }, signal }, size, after);
}

export async function readDevice(host: string, id: string, signal?: AbortSignal): Promise<Device> {
  return (await send<Device>({ method: "GET", path: devicePath(host, id), audience: "hub", signal })).body;
}

export async function readTwin(host: string, id: string, signal?: AbortSignal): Promise<Twin> {
  if (isDots(id)) return queriedTwin(host, id, signal);
  return (await send<Twin>({ method: "GET", path: twinPath(host, id), audience: "hub", signal })).body;
}

/** The twin of a device whose id cannot stand in a path, by the hub's query. */
async function queriedTwin(host: string, id: string, signal?: AbortSignal): Promise<Twin> {
  const twin = (await queryHub(host, `SELECT * FROM devices WHERE deviceId = ${hubText(id)}`, 1, undefined, signal)).rows[0];
  if (!twin) throw new Fault({ status: 404, code: "DeviceNotFound", message: t.devices.notFound(id) });
  return twin;
}

/** A text in IoT Hub's query language. */
export function hubText(value: string): string {
  return `'${value.replace(/'/g, "''")}'`;
}

/** A write of a device's identity, as the request of one step. */
export interface DeviceCall {
  method: Method;
  path: string;
  audience: "hub";
  headers?: Record<string, string>;
  body?: unknown;
}

const BULK = { PUT: { fresh: "create", match: "updateIfMatchETag", any: "update" }, DELETE: { fresh: "delete", match: "deleteIfMatchETag", any: "delete" } } as const;

/** Makes, changes or deletes a device. An id that cannot stand in a path goes by the hub's request about many devices, which has it in its body.
 * @param etag what the change was made on; `*` for whatever is there, none for a device that is new */
export function deviceCall(method: "PUT" | "DELETE", host: string, id: string, etag?: string, body: object = {}): DeviceCall {
  const of = etag === undefined ? "fresh" : etag === "*" ? "any" : "match";
  if (isDots(id)) {
    const { deviceId: _, ...document } = body as { deviceId?: string };
    return { method: "POST", path: hubPath(host, "/devices"), audience: "hub", body: [{ id, importMode: BULK[method][of], ...(of === "match" ? { eTag: `"${etag}"` } : {}), ...document }] };
  }
  const headers = etag === undefined ? {} : { headers: { "If-Match": of === "any" ? "*" : `"${etag}"` } };
  return { method, path: devicePath(host, id), audience: "hub", ...headers, ...(method === "PUT" ? { body } : {}) };
}

/** Changes a twin; `etag` is what the change was made on.
 * @throws Fault 412 where somebody else changed it since. */
export async function patchTwin(host: string, id: string, patch: Partial<Twin>, etag: string): Promise<Twin> {
  if (isDots(id)) return replaceTwin(host, id, patch, etag);
  const reply = await send<Twin>({ method: "PATCH", path: twinPath(host, id), audience: "hub", body: patch, headers: { "If-Match": `"${etag}"` } });
  return reply.body;
}

/** The same by the request about many devices, which takes whole documents. */
async function replaceTwin(host: string, id: string, patch: Partial<Twin>, etag: string): Promise<Twin> {
  const now = await queriedTwin(host, id);
  if (etag !== "*" && now.etag !== etag) throw new Fault({ status: 412, code: "PreconditionFailed", message: t.devices.changedSince(id) });
  const tags = patch.tags && { tags: patched(now.tags ?? {}, patch.tags) };
  const desired = patch.properties?.desired && { properties: { desired: patched(written(now.properties?.desired), patch.properties.desired) } };
  const entry = { id, importMode: "updateTwinIfMatchETag", twinETag: `"${now.etag ?? ""}"`, ...tags, ...desired };
  await send({ method: "POST", path: hubPath(host, "/devices"), audience: "hub", body: [entry] });
  return queriedTwin(host, id);
}

export async function countConnected(host: string, signal?: AbortSignal): Promise<number> {
  const reply = await send<{ connectedDeviceCount?: number }>({ method: "GET", path: hubPath(host, "/statistics/service"), audience: "hub", signal });
  return reply.body.connectedDeviceCount ?? 0;
}

/** A time of a device for people; nothing for never. */
export function timeText(time: string | undefined | null): string {
  return !time || time === NEVER || time.startsWith("0001-01-01") ? "" : new Date(time).toLocaleString();
}
