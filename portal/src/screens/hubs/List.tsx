import { pageOf, parseId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import type { Column } from "../../frames/List";
import { HUB } from "../../resources";
import { t } from "../../texts";
import { nameColumn, placeColumns, typeRows, type Row } from "../common/columns";
import { TypeList } from "../common/TypeList";
import { tierText } from "./hub";

const namespaceOf = (row: Row): string => String((row.properties?.["deviceRegistry"] as { namespaceResourceId?: string } | undefined)?.namespaceResourceId ?? "");

export const namespaceColumn = (of: (row: Row) => string): Column<Row> => ({
  id: "namespace",
  label: t.hubs.namespace,
  text: (row) => parseId(of(row))?.name ?? "",
  show: (row) => (of(row) ? <AppLink to={pageOf(of(row))}>{parseId(of(row))?.name ?? of(row)}</AppLink> : t.common.none),
});

const COLUMNS: Column<Row>[] = [
  nameColumn,
  ...placeColumns,
  { id: "tier", label: t.hubs.tier, text: (row) => tierText(row.sku) },
  { id: "status", label: t.hubs.status, text: (row) => String(row.properties?.["state"] ?? "") },
  namespaceColumn(namespaceOf),
];
const EXPRESSIONS = {
  tier: "tostring(sku.name)",
  status: "tostring(properties.state)",
  namespace: "tostring(properties.deviceRegistry.namespaceResourceId)",
};
const ROWS = typeRows([HUB], EXPRESSIONS, ["tier", "status"]);

export default function List() {
  return <TypeList rows={ROWS} words={t.hubs} create="/create/hub" columns={COLUMNS} />;
}
