/** Identities that get roles: user-assigned ones, and those that resources have of their own. */

import { isGuid } from "../../api/directory";
import { quote } from "../../api/graphQuery";
import { HUB, IDENTITY, NAMESPACE, PROVISIONING } from "../../resources";

export interface Identity {
  id: string;
  name: string;
  type: string;
  resourceGroup: string;
  principalId: string;
}

/** Types of resources that are or have an identity. */
export const IDENTITY_KINDS = [IDENTITY, NAMESPACE, HUB, PROVISIONING];

/** The query for all identities of a subscription, with the object id of each. */
export function identitiesQuery(subscription: string): string {
  const principal = `iff(type =~ ${quote(IDENTITY)}, tostring(properties.principalId), tostring(identity.principalId))`;
  return `resources | where subscriptionId =~ ${quote(subscription)} | where type in~ (${IDENTITY_KINDS.map(quote).join(", ")}) | extend principalId = ${principal} | where isnotempty(principalId) | project id, name, type, resourceGroup, principalId | order by name asc`;
}

export const ofKind = (rows: Identity[], kind: string): Identity[] => rows.filter((each) => each.type.toLowerCase() === kind.toLowerCase());

/** What a search finds: of one kind by a part of the name or object id; a whole object id names one identity, whatever its kind. */
export function identityHits(rows: Identity[], kind: string, text: string): Identity[] {
  const wanted = text.trim().toLowerCase();
  if (isGuid(wanted)) return rows.filter((each) => each.principalId.toLowerCase() === wanted);
  return ofKind(rows, kind).filter((each) => each.name.toLowerCase().includes(wanted) || each.principalId.toLowerCase().includes(wanted));
}
