/** Rights: what one may do at a scope, by the server's own list, matched as Azure matches. */

import { armPath } from "./arm";
import { readAll } from "./pager";
import { API } from "./versions";

export interface Permission {
  actions?: string[];
  notActions?: string[];
  dataActions?: string[];
  notDataActions?: string[];
}

/** The rights of the one who is signed in at `scope`. */
export async function permissionsAt(scope: string, signal?: AbortSignal): Promise<Permission[]> {
  return (await readAll<Permission>(armPath(`${scope}/providers/Microsoft.Authorization/permissions`, API.authorization), "arm", signal)).rows;
}

/** Does `pattern` cover `action`? Case does not count, and `*` stands for any text, slashes included. */
export function covers(pattern: string, action: string): boolean {
  const parts = pattern.toLowerCase().split("*");
  const wanted = action.toLowerCase();
  const first = parts[0] ?? "";
  if (parts.length === 1) return first === wanted;
  if (!wanted.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = wanted.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  const last = parts[parts.length - 1] ?? "";
  return wanted.length - last.length >= at && wanted.endsWith(last);
}

/** May `action` be done with `permissions`? A `not` takes away from its own entry only: another role may give it. */
export function allows(permissions: Permission[], action: string, data = false): boolean {
  return permissions.some((permission) => {
    const given = (data ? permission.dataActions : permission.actions) ?? [];
    const taken = (data ? permission.notDataActions : permission.notActions) ?? [];
    return given.some((pattern) => covers(pattern, action)) && !taken.some((pattern) => covers(pattern, action));
  });
}

/** The narrowest built-in role, of those that people give, with which `action` may be done. */
export function roleFor(action: string, data = false): string {
  const lower = action.toLowerCase();
  if (data) {
    if (lower.startsWith("microsoft.devices/iothubs/")) return lower.endsWith("/read") ? "IoT Hub Data Reader" : "IoT Hub Data Contributor";
    if (lower.startsWith("microsoft.devices/provisioningservices/")) {
      return lower.endsWith("/read") ? "Device Provisioning Service Data Reader" : "Device Provisioning Service Data Contributor";
    }
  }
  if (lower.endsWith("/read")) return "Reader";
  if (lower.startsWith("microsoft.authorization/roleassignments/")) return "Role Based Access Control Administrator";
  if (lower.startsWith("microsoft.authorization/")) return "Owner";
  if (lower.startsWith("microsoft.deviceregistry/")) return "Azure Device Registry Contributor";
  if (lower.startsWith("microsoft.managedidentity/")) {
    return lower.endsWith("/assign/action") ? "Managed Identity Operator" : "Managed Identity Contributor";
  }
  return "Contributor";
}
