/** Resource ids: taking them apart, and the addresses of their pages. */

import { idPath } from "../wellFormed";

export interface ResourceId {
  /** As it is written. */
  id: string;
  subscription: string | undefined;
  group: string | undefined;
  /** `Microsoft.Devices/IotHubs`; `Microsoft.Resources/subscriptions` and `.../resourceGroups` for the two scopes. */
  type: string;
  /** Last segment. */
  name: string;
  /** The scope above, for which the id stands below: parent resource, group, subscription. */
  parent: string | undefined;
}

export const SUBSCRIPTION = "Microsoft.Resources/subscriptions";
export const GROUP = "Microsoft.Resources/resourceGroups";

/** Takes an id apart; undefined where it is none. */
export function parseId(id: string): ResourceId | undefined {
  const split = splitId(id);
  return split && split.rest.length === 0 ? split.id : undefined;
}

/** The longest id at the start of `path`, and the segments that follow it. */
export function splitId(path: string): { id: ResourceId; rest: string[] } | undefined {
  const segments = path.split("/").filter((segment) => segment !== "");
  if (segments[0]?.toLowerCase() !== "subscriptions" || !segments[1]) return undefined;
  const subscription = segments[1];
  let at = 2;
  let group: string | undefined;
  let parent: string | undefined;
  let type = SUBSCRIPTION;
  let name = subscription;
  const upTo = (end: number) => "/" + segments.slice(0, end).join("/");
  if (segments[at]?.toLowerCase() === "resourcegroups" && segments[at + 1]) {
    group = segments[at + 1];
    parent = upTo(at);
    type = GROUP;
    name = group ?? "";
    at += 2;
  }
  if (segments[at]?.toLowerCase() === "providers" && segments[at + 3]) {
    parent = upTo(at);
    type = `${segments[at + 1]}/${segments[at + 2]}`;
    name = segments[at + 3] ?? "";
    at += 4;
    while (segments[at + 1] !== undefined) {
      parent = upTo(at);
      type += `/${segments[at]}`;
      name = segments[at + 1] ?? "";
      at += 2;
    }
  }
  return { id: { id: upTo(at), subscription, group, type, name, parent }, rest: segments.slice(at) };
}

/** Are these one resource? Azure compares ids without case. */
export function sameId(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one.toLowerCase() === other.toLowerCase();
}

/** Is `type` the same resource type as `other`? */
export function isType(type: string, other: string): boolean {
  return type.toLowerCase() === other.toLowerCase();
}

/** Address of a resource's page, or of one of its blades. */
export function pageOf(id: string, blade = "overview"): string {
  return "/resource" + idPath(id) + "/" + blade;
}

export function groupId(subscription: string, group: string): string {
  return `/subscriptions/${subscription}/resourceGroups/${group}`;
}

export function resourceId(subscription: string, group: string, type: string, name: string): string {
  return `${groupId(subscription, group)}/providers/${type}/${name}`;
}
