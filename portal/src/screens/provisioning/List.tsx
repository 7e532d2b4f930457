import type { Column } from "../../frames/List";
import { PROVISIONING } from "../../resources";
import { t } from "../../texts";
import { nameColumn, placeColumns, typeRows, type Row } from "../common/columns";
import { TypeList } from "../common/TypeList";
import { namespaceColumn } from "../hubs/List";

const namespaceOf = (row: Row): string => String((row.properties?.["deviceRegistryNamespace"] as { resourceId?: string } | undefined)?.resourceId ?? "");

const COLUMNS: Column<Row>[] = [
  nameColumn,
  ...placeColumns,
  { id: "scope", label: t.dps.idScope, text: (row) => String(row.properties?.["idScope"] ?? "") },
  { id: "status", label: t.hubs.status, text: (row) => String(row.properties?.["state"] ?? "") },
  { id: "hubs", label: t.dps.linkedHubs, text: (row) => String(((row.properties?.["iotHubs"] as unknown[] | undefined) ?? []).length), unsorted: true },
  namespaceColumn(namespaceOf),
];
const EXPRESSIONS = { scope: "tostring(properties.idScope)", status: "tostring(properties.state)", namespace: "tostring(properties.deviceRegistryNamespace.resourceId)" };
const ROWS = typeRows([PROVISIONING], EXPRESSIONS, ["status"]);

export default function List() {
  return <TypeList rows={ROWS} words={t.dps} create="/create/provisioning-service" columns={COLUMNS} />;
}
