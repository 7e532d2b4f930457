/** What the document of a provisioning service says. */

import type { Resource } from "../../api/arm";
import { identityOf, sentOf, usersOf, type Sent } from "../../api/putBack";
import { sameId } from "../../api/resourceId";
import { t } from "../../texts";

/** A hub that it is linked to. */
export interface LinkedHub {
  name: string;
  hostName?: string;
  location?: string;
  applyAllocationPolicy?: boolean;
  allocationWeight?: number;
  connectionString?: string;
  authenticationType?: "KeyBased" | "SystemAssigned" | "UserAssigned";
  selectedUserAssignedIdentityResourceId?: string;
}

export interface NamespaceLink {
  resourceId?: string;
  authenticationType?: string;
  selectedUserAssignedIdentityResourceId?: string;
}

export function linkedHubs(resource: Resource | undefined): LinkedHub[] {
  return (resource?.properties?.["iotHubs"] as LinkedHub[] | undefined) ?? [];
}

export function namespaceLink(resource: Resource | undefined): NamespaceLink {
  return (resource?.properties?.["deviceRegistryNamespace"] as NamespaceLink | undefined) ?? {};
}

/** Linked hubs by the first label of their host. */
export const shortHub = (host: string): string => host.split(".")[0] ?? host;

/** How the hub of a link stands, in words. Who does not see it does not know that it is gone: others may.
 * @param seen whether the hub is among those that one may see; undefined while these are not read */
export function linkState(seen: boolean | undefined, failed: boolean): string {
  if (seen === undefined) return failed ? t.common.unknown : "";
  return seen ? t.linked.states.hub : t.linked.states.unseen;
}

/** How a link proves itself, in words. */
export function authenticationText(link: LinkedHub): string {
  if (link.authenticationType === "SystemAssigned") return t.linked.bySystem;
  if (link.authenticationType === "UserAssigned") return t.linked.byUser;
  return /SharedAccessKeyName=([^;]*)/.exec(link.connectionString ?? "")?.[1] ?? t.linked.byPolicy;
}

/** The document with the namespace linked by an identity, which it gets where it does not have it. */
export function withNamespace(resource: Resource, namespace: string, identity: string): Sent {
  const sent = sentOf(resource);
  const users = usersOf(resource.identity);
  const all = users.some((user) => sameId(user, identity)) ? users : [...users, identity];
  return {
    ...sent,
    identity: identityOf(resource.identity?.principalId !== undefined, all),
    properties: { ...sent.properties, deviceRegistryNamespace: { resourceId: namespace, authenticationType: "UserAssigned", selectedUserAssignedIdentityResourceId: identity } },
  };
}

export function withoutNamespace(resource: Resource): Sent {
  const sent = sentOf(resource);
  return { ...sent, properties: { ...sent.properties, deviceRegistryNamespace: null } };
}

/** The document with other links: `change` gives what becomes of each, nothing where it goes. */
export function withHubs(resource: Resource, change: (link: LinkedHub) => LinkedHub | undefined, more: LinkedHub[] = []): Sent {
  const sent = sentOf(resource);
  const kept = linkedHubs(resource).map(change).filter((link): link is LinkedHub => link !== undefined);
  return { ...sent, properties: { ...sent.properties, iotHubs: [...kept, ...more] } };
}

/** The weight that `text` says, or the server's sentence. */
export function weightFault(text: string): string | undefined {
  return /^\d+$/.test(text) && Number(text) <= 1000 ? undefined : t.linked.weightRule;
}
