/** Role assignments and role definitions at a scope, with the names of who has them. */

import { useQuery } from "@tanstack/react-query";
import { armPath } from "../../api/arm";
import { byIds, type Principal } from "../../api/directory";
import { allows, type Permission } from "../../api/permissions";
import { readAll, type Whole } from "../../api/pager";
import { parseId, sameId } from "../../api/resourceId";
import { API } from "../../api/versions";
import { t } from "../../texts";

export interface Role {
  id: string;
  name: string;
  properties: { roleName: string; description?: string; type: string; permissions: Permission[]; assignableScopes?: string[] };
}

export interface Assignment {
  id: string;
  name: string;
  properties: { roleDefinitionId: string; principalId: string; principalType?: string; scope: string; description?: string | null; condition?: string | null };
}

/** An assignment with its role and its principal. */
export interface Given {
  id: string;
  scope: string;
  role: Role | undefined;
  roleId: string;
  principalId: string;
  principal: Principal | undefined;
  type: string;
  description: string;
  condition: string;
}

const GUID_OF = (id: string): string => id.slice(id.lastIndexOf("/") + 1).toLowerCase();

/** Roles that hand out everything, or the right to hand out (Azure's "privileged administrator roles"). */
export const PRIVILEGED = new Set([
  "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
  "b24988ac-6180-42a0-ab88-20f7382dd24c",
  "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
  "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
]);

export const rolesAt = (scope: string, signal?: AbortSignal): Promise<Whole<Role>> =>
  readAll<Role>(armPath(`${scope}/providers/Microsoft.Authorization/roleDefinitions`, API.authorization), "arm", signal);

export const useRoles = (scope: string) =>
  useQuery({ queryKey: ["roles", scope.toLowerCase()], queryFn: async ({ signal }) => (await rolesAt(scope, signal)).rows, staleTime: 60_000 });

/** Assignments that hold at a scope: its own and those from above; of one principal (and its groups) with `principal`. */
export async function givenAt(scope: string, principal?: string, signal?: AbortSignal): Promise<Whole<Given>> {
  const filter = principal ? `atScope() and assignedTo('${principal}')` : "atScope()";
  const path = armPath(`${scope}/providers/Microsoft.Authorization/roleAssignments`, API.authorization, { $filter: filter });
  const [assignments, roles] = await Promise.all([readAll<Assignment>(path, "arm", signal), rolesAt(scope, signal)]);
  const ids = [...new Set(assignments.rows.map((assignment) => assignment.properties.principalId))];
  // Names are a help: without the right to read the directory the object ids are shown.
  const people = await byIds(ids, signal).catch(() => []);
  const rows = assignments.rows.map((assignment): Given => {
    const { properties } = assignment;
    const guid = GUID_OF(properties.roleDefinitionId);
    const found = people.find((person) => person.id === properties.principalId);
    return {
      id: assignment.id,
      scope: properties.scope,
      role: roles.rows.find((role) => role.name.toLowerCase() === guid),
      roleId: guid,
      principalId: properties.principalId,
      principal: found,
      type: typeText(found, properties.principalType),
      description: properties.description ?? "",
      condition: properties.condition ?? "",
    };
  });
  return { rows, more: assignments.more };
}

function typeText(principal: Principal | undefined, told: string | undefined): string {
  if (principal?.servicePrincipalType === "ManagedIdentity") return t.iam.kinds.identity;
  const kind = principal?.kind ?? told;
  return kind === "User" ? t.iam.kinds.user : kind === "Group" ? t.iam.kinds.group : t.iam.kinds.service;
}

/** Where an assignment comes from, seen from `scope`. */
export function scopeText(given: string, scope: string): string {
  if (sameId(given, scope)) return t.iam.here;
  return t.iam.inherited(parseId(given)?.name ?? given);
}

/** The assignment by which `action` may be done, if there is one. */
export function decides(given: Given[], action: string): Given | undefined {
  const may = (each: Given, data: boolean) => each.role && allows(each.role.properties.permissions, action, data);
  return given.find((each) => may(each, false)) ?? given.find((each) => may(each, true));
}

/** Does a role's name, description, id or one of its actions hold `text`? */
export function roleMatches(role: Role, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  const { roleName, description, permissions } = role.properties;
  const actions = permissions.flatMap((each) => [...(each.actions ?? []), ...(each.dataActions ?? [])]);
  return [roleName, description ?? "", role.name, ...actions].some((part) => part.toLowerCase().includes(wanted));
}

/** The provider that most of a role is about. */
export function categoryOf(role: Role): string {
  const { permissions } = role.properties;
  const first = permissions.flatMap((each) => [...(each.actions ?? []), ...(each.dataActions ?? [])])[0] ?? "";
  const provider = first.split("/")[0] ?? "";
  return provider.includes("*") || provider === "" ? t.iam.general : provider.replace(/^Microsoft\./, "");
}
