/** What the document of a hub says. */

import type { Resource } from "../../api/arm";
import { t } from "../../texts";

interface Link {
  namespaceResourceId?: string;
  identityResourceId?: string;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

export function hostOf(resource: Resource | undefined): string {
  return textOf(resource?.properties?.["hostName"]);
}

export function linkOf(resource: Resource | undefined): Link {
  return (resource?.properties?.["deviceRegistry"] as Link | undefined) ?? {};
}

/** The tier as the page calls it; its SKU where it has no name. */
export function tierText(sku: { name?: string } | null | undefined): string {
  const name = sku?.name ?? "";
  return t.hubs.tiers[name] ?? (/^[SB]\d$/.test(name) ? `${t.hubs.tiers[`${name[0]}1`]} (${name})` : name);
}

export function partitionsOf(resource: Resource | undefined): string[] {
  const events = resource?.properties?.["eventHubEndpoints"] as { events?: { partitionIds?: string[] } } | undefined;
  return events?.events?.partitionIds ?? ["0"];
}

/** The identity by whose id a namespace link acts, of a hub or a provisioning service. */
export function linkedIdentity(resource: Resource | undefined): string | undefined {
  const link = resource?.properties?.["deviceRegistryNamespace"] as { selectedUserAssignedIdentityResourceId?: string } | undefined;
  return linkOf(resource).identityResourceId ?? link?.selectedUserAssignedIdentityResourceId;
}

/** Base64 of so many random bytes: a key of a device or policy. */
export function randomKey(bytes: number): string {
  const key = crypto.getRandomValues(new Uint8Array(bytes));
  return btoa(String.fromCharCode(...key));
}
