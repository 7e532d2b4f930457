/** The activity log: its filter, and what a row says. */

import { armPath } from "../../api/arm";
import { readPage, type Page } from "../../api/pager";
import { API } from "../../api/versions";

export interface Event {
  id: string;
  eventDataId: string;
  correlationId: string;
  caller?: string;
  level: string;
  eventTimestamp: string;
  operationName: { value: string; localizedValue?: string };
  status: { value: string };
  resourceId: string;
  resourceGroupName?: string;
  properties?: Record<string, string>;
}

/** Hours that can be chosen. */
export const SPANS = [1, 6, 24, 168, 720, 2160] as const;

export interface EventFilter {
  hours: number;
  /** A resource and what lies below it. */
  resource?: string | undefined;
  group?: string | undefined;
  caller?: string | undefined;
  status?: string | undefined;
  level?: string | undefined;
}

const literal = (text: string): string => `'${text.replace(/'/g, "''")}'`;

/** The filter in OData. */
export function filterText(filter: EventFilter, now: number): string {
  const parts = [`eventTimestamp ge ${literal(new Date(now - filter.hours * 3_600_000).toISOString())}`];
  if (filter.resource) parts.push(`resourceUri eq ${literal(filter.resource)}`);
  else if (filter.group) parts.push(`resourceGroupName eq ${literal(filter.group)}`);
  if (filter.caller) parts.push(`caller eq ${literal(filter.caller)}`);
  if (filter.status) parts.push(`status eq ${literal(filter.status)}`);
  if (filter.level) parts.push(`levels eq ${literal(filter.level)}`);
  return parts.join(" and ");
}

/** One page of the log of a subscription, newest first. */
export function readEvents(subscription: string, filter: EventFilter, after: string | undefined, signal?: AbortSignal): Promise<Page<Event>> {
  const first = armPath(`/subscriptions/${subscription}/providers/Microsoft.Insights/eventtypes/management/values`, API.activity, { $filter: filterText(filter, new Date().getTime()) });
  return readPage<Event>(after ?? first, "arm", signal);
}
