/** Columns that lists of resources share, and how such a list is read. */

import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import type { Column } from "../../frames/List";
import { graphSource, type Source } from "../../frames/listSource";
import { quote } from "../../api/graphQuery";
import { infoOf } from "../../resources";
import { tagsText } from "../../tagsText";
import { t } from "../../texts";

/** A row of Resource Graph. */
export interface Row {
  id: string;
  name: string;
  type: string;
  location: string;
  resourceGroup: string;
  subscriptionId: string;
  tags: Record<string, string> | null;
  properties: Record<string, unknown> | null;
  identity: { type?: string; principalId?: string } | null;
  sku: { name?: string } | null;
}

export const nameColumn: Column<Row> = { id: "name", label: t.columns.name, text: (row) => row.name, show: (row) => <AppLink to={pageOf(row.id)}>{row.name}</AppLink> };
export const typeColumn: Column<Row> = { id: "type", label: t.columns.type, text: (row) => infoOf(row.type)?.one ?? row.type };
export const placeColumns: Column<Row>[] = [
  { id: "group", label: t.columns.group, text: (row) => row.resourceGroup },
  { id: "location", label: t.columns.location, text: (row) => row.location },
  { id: "subscription", label: t.columns.subscription, text: (row) => row.subscriptionId, hidden: true },
  { id: "tags", label: t.columns.tags, text: (row) => tagsText(row.tags), unsorted: true },
];

const COLUMNS = { name: "name", type: "type", group: "resourceGroup", location: "location", subscription: "subscriptionId" };

/** Rows of a list, and which of their values it is filtered by. */
export interface Rows {
  source: Source<Row>;
  /** Query up to where rows are chosen. */
  base: string;
  /** Expressions of columns whose values are offered as filters, by the column's id. */
  filters: Record<string, string>;
}

const PLACE = { group: "resourceGroup", location: "location" };

function typeBase(types: string[], more: string): string {
  return `resources | where type in~ (${types.map(quote).join(", ")})${more}`;
}

/** All resources of these types, sorted, filtered and paged by the server. */
export function typeSource(types: string[], columns: Record<string, string> = {}, more = ""): Source<Row> {
  return graphSource<Row>(["types", ...types, more], typeBase(types, more), "strcat(name, ' ', resourceGroup, ' ', location, ' ', tostring(tags))", { ...COLUMNS, ...columns }, "name");
}

/** The same with filters by group, location, and `filters`, which are ids of `columns`. */
export function typeRows(types: string[], columns: Record<string, string> = {}, filters: string[] = []): Rows {
  const more = Object.fromEntries(Object.entries(columns).filter(([id]) => filters.includes(id)));
  return { source: typeSource(types, columns), base: typeBase(types, ""), filters: { ...PLACE, ...more } };
}

/** All resource groups. */
export function groupRows(): Rows {
  const base = "resourcecontainers | where type =~ 'microsoft.resources/subscriptions/resourcegroups'";
  const columns = { name: "name", location: "location", subscription: "subscriptionId" };
  return { source: graphSource<Row>(["groups"], base, "strcat(name, ' ', location, ' ', tostring(tags))", columns, "name"), base, filters: { location: "location" } };
}

/** What a list of resources asks for when rows are to be deleted or opened. */
export const rowId = (row: { id: string }): string => row.id;
