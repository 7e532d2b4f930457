/** Microsoft Graph: who is who. */

import { Fault } from "./fault";
import { send, withQuery } from "./http";
import type { Whole } from "./pager";

export interface Principal {
  id: string;
  displayName: string;
  /** `User`, `Group` or `ServicePrincipal`, as role assignments name it. */
  kind: "User" | "Group" | "ServicePrincipal";
  /** What tells it from others of that name: user principal name, mail, app id. */
  second: string;
  /** `ManagedIdentity` or `Application` for service principals. */
  servicePrincipalType?: string | undefined;
  appId?: string | undefined;
}

interface DirectoryObject {
  "@odata.type"?: string;
  id: string;
  displayName?: string | null;
  userPrincipalName?: string;
  mail?: string | null;
  appId?: string;
  servicePrincipalType?: string;
}

function principalOf(object: DirectoryObject, kind?: Principal["kind"]): Principal {
  const type = object["@odata.type"] ?? "";
  const told = type.endsWith(".user") ? "User" : type.endsWith(".group") ? "Group" : "ServicePrincipal";
  return {
    id: object.id,
    displayName: object.displayName || object.userPrincipalName || object.id,
    kind: kind ?? told,
    second: object.userPrincipalName ?? object.mail ?? object.appId ?? "",
    servicePrincipalType: object.servicePrincipalType,
    appId: object.appId,
  };
}

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const isGuid = (text: string): boolean => GUID.test(text.trim());

const literal = (text: string): string => `'${text.replace(/'/g, "''")}'`;

async function list(path: string, kind: Principal["kind"], signal?: AbortSignal): Promise<Whole<Principal>> {
  const reply = await send<{ value?: DirectoryObject[]; "@odata.nextLink"?: string }>({ method: "GET", path, audience: "graph", signal });
  const rows = (reply.body.value ?? []).map((object) => principalOf(object, kind));
  return { rows, more: reply.body["@odata.nextLink"] !== undefined };
}

/** Users, groups and service principals whose name begins with `text`, the first of each; an object id or app id finds its own. */
export async function searchPrincipals(text: string, signal?: AbortSignal): Promise<Whole<Principal>> {
  const wanted = text.trim();
  if (isGuid(wanted)) return byGuid(wanted, signal);
  const filter = (members: string[]) =>
    wanted === "" ? undefined : members.map((member) => `startswith(${member},${literal(wanted)})`).join(" or ");
  const options = (members: string[]) => ({ $filter: filter(members), $top: 25 });
  const lists = await Promise.all([
    list(withQuery("/v1.0/users", options(["displayName", "userPrincipalName"])), "User", signal),
    list(withQuery("/v1.0/groups", options(["displayName"])), "Group", signal),
    list(withQuery("/v1.0/servicePrincipals", options(["displayName"])), "ServicePrincipal", signal),
  ]);
  return { rows: lists.flatMap((each) => each.rows), more: lists.some((each) => each.more) };
}

async function byGuid(id: string, signal?: AbortSignal): Promise<Whole<Principal>> {
  const known = await byIds([id], signal);
  if (known.length > 0) return { rows: known, more: false };
  return list(withQuery("/v1.0/servicePrincipals", { $filter: `appId eq ${literal(id)}` }), "ServicePrincipal", signal);
}

/** The principals behind object ids; those that are gone are missing. */
export async function byIds(ids: string[], signal?: AbortSignal): Promise<Principal[]> {
  const found: Principal[] = [];
  // Graph takes 1000 ids a call.
  for (let at = 0; at < ids.length; at += 1000) {
    const reply = await send<{ value?: DirectoryObject[] }>({
      method: "POST",
      path: "/v1.0/directoryObjects/getByIds",
      audience: "graph",
      body: { ids: ids.slice(at, at + 1000) },
      signal,
    });
    found.push(...(reply.body.value ?? []).map((object) => principalOf(object)));
  }
  return found;
}

/** Who is signed in; undefined for a principal that is no user. */
export async function me(): Promise<Principal | undefined> {
  try {
    const reply = await send<DirectoryObject>({ method: "GET", path: "/v1.0/me", audience: "graph" });
    return principalOf(reply.body, "User");
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.status !== 0) return undefined;
    throw thrown;
  }
}
