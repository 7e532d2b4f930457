/** Resource Manager: documents by id. */

import { Fault } from "./fault";
import { send, withQuery, type Call, type Method, type Reply } from "./http";
import { readAll, type Whole } from "./pager";
import { API, versionOf } from "./versions";
import { idPath } from "../wellFormed";

export interface Resource {
  id: string;
  name: string;
  type: string;
  location?: string;
  tags?: Record<string, string>;
  identity?: Identity;
  properties?: Record<string, unknown>;
  sku?: { name?: string; capacity?: number };
  etag?: string;
  systemData?: Record<string, string>;
}

export interface Identity {
  type?: string;
  principalId?: string;
  tenantId?: string;
  userAssignedIdentities?: Record<string, { principalId?: string; clientId?: string }>;
}

export interface Subscription {
  id: string;
  subscriptionId: string;
  displayName: string;
  tenantId?: string;
  state?: string;
}

/** The path of a call on `id`, or on a list below one: its segments made safe for an address, with an api-version. */
export function armPath(id: string, version?: string, options: Record<string, string | number | undefined> = {}): string {
  // A list below a resource is no id, and has the version of what is in it.
  const last = /.*\/providers\/(.+)$/i.exec(id)?.[1] ?? "";
  const chosen = version ?? versionOf(last);
  return withQuery(idPath(id), { "api-version": chosen, ...options });
}

export async function read<T = Resource>(id: string, version?: string, signal?: AbortSignal): Promise<T> {
  return (await send<T>({ method: "GET", path: armPath(id, version), audience: "arm", signal })).body;
}

/** A document with its ETag. */
export async function readTagged(id: string, signal?: AbortSignal): Promise<{ document: Resource; etag: string | undefined }> {
  const reply = await send<Resource>({ method: "GET", path: armPath(id), audience: "arm", signal });
  return { document: reply.body, etag: reply.etag ?? reply.body.etag };
}

/** Is there something at `id`? */
export async function exists(id: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await read(id, undefined, signal);
    return true;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.status === 404) return false;
    throw thrown;
  }
}

/** A write that is over when it answers; what takes longer goes through `shell/deployments`. */
export async function write<T = Resource>(method: Method, id: string, body?: unknown, etag?: string, version?: string): Promise<Reply<T>> {
  const call: Call = { method, path: armPath(id, version), audience: "arm", body };
  if (etag) call.headers = { "If-Match": etag };
  return send<T>(call);
}

export function subscriptions(): Promise<Whole<Subscription>> {
  return readAll<Subscription>(armPath("/subscriptions", API.subscriptions));
}

export function readSubscription(subscription: string, signal?: AbortSignal): Promise<Subscription> {
  return read<Subscription>(`/subscriptions/${subscription}`, API.subscriptions, signal);
}

export interface Location {
  name: string;
  displayName: string;
}

export function locations(subscription: string): Promise<Whole<Location>> {
  return readAll<Location>(armPath(`/subscriptions/${subscription}/locations`, API.subscriptions));
}

export function groups(subscription: string): Promise<Whole<Resource>> {
  return readAll<Resource>(armPath(`/subscriptions/${subscription}/resourcegroups`, API.resources));
}

/** The namespace that a hub or provisioning service is linked to, whatever its generation calls it. */
export function namespaceOf(resource: Resource): string | undefined {
  const properties = resource.properties ?? {};
  const one = (properties["deviceRegistry"] ?? properties["deviceRegistryNamespace"]) as Record<string, unknown> | undefined;
  const id = one?.["namespaceResourceId"] ?? one?.["resourceId"];
  return typeof id === "string" ? id : undefined;
}
