import { infoOf, TRACKED } from "../../resources";
import { t } from "../../texts";
import { nameColumn, placeColumns, typeColumn, typeRows } from "../common/columns";
import { TypeList } from "../common/TypeList";

const COLUMNS = [nameColumn, typeColumn, ...placeColumns];
const ROWS = typeRows(TRACKED);
const TYPES = [{ id: "type", label: t.columns.type, choices: TRACKED.map((type) => ({ value: type.toLowerCase(), label: infoOf(type)?.many ?? type })) }];

export default function AllResources() {
  return <TypeList rows={ROWS} words={t.allResources} create="/create" columns={COLUMNS} facets={TYPES} />;
}
