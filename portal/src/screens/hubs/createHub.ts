/** What the wizard of a hub asks for: the document, the lines of `az`, and the field that a refusal is about. */

import { azLine, tagWords } from "../../azLine";
import type { Scope } from "../../frames/ScopeFields";
import type { Tag } from "../../rules";
import { t } from "../../texts";

export interface Values extends Scope {
  name: string;
  tier: string;
  namespace: string;
  identity: string;
  tls: string;
  rbacOnly: boolean;
  assignMe: boolean;
  partitions: string;
  tags: Tag[];
}

/** The SKU that can have a namespace. */
export const PREVIEW = "GEN2";
export const FIRST: Values = { subscription: "", group: "", newGroup: false, location: "", name: "", tier: PREVIEW, namespace: "", identity: "", tls: "1.2", rbacOnly: false, assignMe: true, partitions: "4", tags: [] };

export function partitionsFault(text: string): string | undefined {
  const count = Number(text);
  return /^\d+$/.test(text) && count >= 1 && count <= 32 ? undefined : t.hubs.partitionsRule;
}

export function bodyOf(values: Values, tags: Record<string, string>) {
  const link = values.namespace ? { deviceRegistry: { namespaceResourceId: values.namespace, identityResourceId: values.identity } } : {};
  return {
    location: values.location,
    tags,
    sku: { name: values.tier, capacity: 1 },
    identity: values.identity ? { type: "UserAssigned", userAssignedIdentities: { [values.identity]: {} } } : { type: "None" },
    properties: {
      ...link,
      minTlsVersion: values.tls,
      disableLocalAuth: values.rbacOnly,
      publicNetworkAccess: "Enabled",
      eventHubEndpoints: { events: { retentionTimeInDays: 1, partitionCount: Number(values.partitions) } },
    },
  };
}

export function azLines(values: Values, tags: Record<string, string>, assign: { id: string; principal: string } | undefined): string[] {
  const lines = values.newGroup ? [azLine("group create", { name: values.group, location: values.location })] : [];
  lines.push(
    azLine("iot hub create", {
      "name": values.name,
      "resource-group": values.group,
      "location": values.location,
      "sku": values.tier,
      "partition-count": values.partitions,
      "min-tls-version": values.tls,
      "disable-local-auth": values.rbacOnly ? "true" : undefined,
      "mi-user-assigned": values.identity || undefined,
      "ns-resource-id": values.namespace || undefined,
      "ns-identity-id": values.namespace ? values.identity : undefined,
      "tags": tagWords(tags),
    }),
  );
  if (assign) lines.push(azLine("role assignment create", { "assignee-object-id": assign.principal, "assignee-principal-type": "User", "role": "IoT Hub Data Contributor", "scope": assign.id }));
  return lines;
}

/** The field that a refusal's target is about. */
export function fieldOf(target: string): keyof Values | undefined {
  const path = target.replace(/^properties\./, "");
  if (path === "name" || path === "location" || path === "tags") return path;
  if (path.startsWith("sku")) return "tier";
  if (path.startsWith("deviceRegistry.identity") || path.startsWith("identity")) return "identity";
  if (path.startsWith("deviceRegistry")) return "namespace";
  if (path.startsWith("minTlsVersion")) return "tls";
  if (path.startsWith("eventHubEndpoints")) return "partitions";
  return undefined;
}
