import { IDENTITY } from "../../resources";
import { t } from "../../texts";
import { nameColumn, placeColumns, typeRows } from "../common/columns";
import { TypeList } from "../common/TypeList";

const COLUMNS = [nameColumn, ...placeColumns];
const ROWS = typeRows([IDENTITY]);

export default function List() {
  return <TypeList rows={ROWS} words={t.identities} create="/create/identity" columns={COLUMNS} />;
}
