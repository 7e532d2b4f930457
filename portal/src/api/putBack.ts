/** Changing a document: what was read goes back with a change, against the ETag of that reading. */

import { armPath, type Identity, type Resource } from "./arm";
import type { StepPlan } from "../shell/deployments";

/** What of a document a PUT sends. */
export interface Sent {
  location?: string | undefined;
  tags?: Record<string, string> | undefined;
  sku?: Resource["sku"];
  identity?: { type: string; userAssignedIdentities?: Record<string, object> } | undefined;
  properties: Record<string, unknown>;
}

/** `resource` as a PUT takes it. */
export function sentOf(resource: Resource): Sent {
  return {
    location: resource.location,
    tags: resource.tags,
    sku: resource.sku,
    identity: identityOf(resource.identity?.type?.toLowerCase().includes("systemassigned") ?? false, usersOf(resource.identity)),
    properties: { ...resource.properties },
  };
}

/** Ids of the user-assigned identities. */
export function usersOf(identity: Identity | undefined): string[] {
  return Object.keys(identity?.userAssignedIdentities ?? {});
}

/** The member `identity` that has these; every way of writing the type is taken. */
export function identityOf(system: boolean, users: string[]): NonNullable<Sent["identity"]> {
  const kinds = [...(system ? ["SystemAssigned"] : []), ...(users.length > 0 ? ["UserAssigned"] : [])];
  if (users.length === 0) return { type: kinds[0] ?? "None" };
  return { type: kinds.join(", "), userAssignedIdentities: Object.fromEntries(users.map((id) => [id, {}])) };
}

/** The step that writes `sent` over `resource`, unless somebody else was there in between. */
export function putStep(title: string, resource: Resource, sent: Sent): StepPlan {
  const step: StepPlan = { title, method: "PUT", path: armPath(resource.id), body: sent };
  return resource.etag ? { ...step, headers: { "If-Match": `"${resource.etag}"` } } : step;
}
