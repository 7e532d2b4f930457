/** The service API of a hub: identities, twins, queries. Reached below this origin, so that its name need not be resolved. */

import { send, withQuery } from "./http";
import { readContinued, type Page } from "./pager";
import { API } from "./versions";
import { segment } from "../wellFormed";

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
  return (await send<Twin>({ method: "GET", path: twinPath(host, id), audience: "hub", signal })).body;
}

/** Changes a twin; `etag` is what the change was made on.
 * @throws Fault 412 where somebody else changed it since. */
export async function patchTwin(host: string, id: string, patch: Partial<Twin>, etag: string): Promise<Twin> {
  const reply = await send<Twin>({ method: "PATCH", path: twinPath(host, id), audience: "hub", body: patch, headers: { "If-Match": `"${etag}"` } });
  return reply.body;
}

export async function countConnected(host: string, signal?: AbortSignal): Promise<number> {
  const reply = await send<{ connectedDeviceCount?: number }>({ method: "GET", path: hubPath(host, "/statistics/service"), audience: "hub", signal });
  return reply.body.connectedDeviceCount ?? 0;
}

/** A time of a device for people; nothing for never. */
export function timeText(time: string | undefined | null): string {
  return !time || time === NEVER || time.startsWith("0001-01-01") ? "" : new Date(time).toLocaleString();
}
