import { t } from "../../texts";
import { groupRows, nameColumn, placeColumns } from "../common/columns";
import { TypeList } from "../common/TypeList";

const COLUMNS = [nameColumn, ...placeColumns.filter((column) => column.id !== "group")];
const ROWS = groupRows();

export default function List() {
  return <TypeList rows={ROWS} words={t.groups} create="/create/group" columns={COLUMNS} oneByOne />;
}
