import { DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { armPath } from "../../api/arm";
import { queryAll, quote } from "../../api/graphQuery";
import { pageOf } from "../../api/resourceId";
import { API } from "../../api/versions";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { List } from "../../frames/List";
import { Loaded } from "../../frames/Loaded";
import type { BladeProps } from "../../frames/ResourcePage";
import { TRACKED } from "../../resources";
import { deployments } from "../../shell/useDeployments";
import { forgetRecent } from "../../shell/recent";
import { t } from "../../texts";
import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useBulk } from "../common/Bulk";
import { lockedBy, useLocks } from "../common/locksOver";
import { nameColumn, placeColumns, rowId, typeColumn, typeSource, type Row } from "../common/columns";
import { tagsText } from "../../tagsText";

const COLUMNS = [nameColumn, typeColumn, ...placeColumns.filter((column) => column.id !== "group")];

export default function Overview({ id, resource }: BladeProps) {
  const [deleting, setDeleting] = useState(false);
  const bulk = useBulk();
  const locks = useLocks(id.id);
  const inGroup = ` | where resourceGroup =~ ${quote(id.name)} | where subscriptionId =~ ${quote(id.subscription ?? "")}`;
  const source = useMemo(() => typeSource(TRACKED, {}, inGroup), [inGroup]);
  const types = TRACKED.map(quote).join(", ");
  const inside = useQuery({ queryKey: ["inside", inGroup], queryFn: ({ signal }) => queryAll<Row>(`resources | where type in~ (${types})${inGroup} | order by name asc`, signal), enabled: deleting });
  const destroy = () => {
    forgetRecent(id.id);
    deployments.start({ title: t.groups.deletePlan(id.name), steps: [{ title: t.groups.deletePlan(id.name), method: "DELETE", path: armPath(id.id, API.resources) }], target: "/groups" });
  };
  return (
    <>
      <Essentials
        facts={[
          { label: t.columns.location, value: resource?.location },
          { label: t.groups.subscriptionId, value: id.subscription, to: pageOf(`/subscriptions/${id.subscription}`) },
          { label: t.columns.tags, value: resource && tagsText(resource.tags), to: pageOf(id.id, "tags") },
          { label: t.columns.id, value: id.id },
        ]}
      />
      <List
        label={t.groups.resources}
        source={source}
        columns={COLUMNS}
        rowId={rowId}
        selectable
        commands={(picked) => [
          {
            id: "delete",
            label: t.groups.delete,
            icon: <DeleteRegular />,
            needs: { action: "Microsoft.Resources/subscriptions/resourceGroups/delete", scope: id.id },
            off: lockedBy(locks.data),
            onClick: () => setDeleting(true),
          },
          ...bulk.commands(picked).map((command) => (command.id === "delete" ? { ...command, label: t.bulk.deleteMarked } : command)),
        ]}
        empty={resource ? t.groups.noResources : t.allResources.empty}
      />
      {bulk.dialogs}
      <Confirm open={deleting} title={t.groups.delete} action={t.common.delete} name={id.name} blocked={inside.data === undefined} onConfirm={destroy} onClose={() => setDeleting(false)}>
        <p>{t.groups.deleteText}</p>
        <Inside found={inside} />
      </Confirm>
    </>
  );
}

/** Resources that are named before they go; the others are counted. */
const NAMED = 200;

/** What goes with the group. */
function Inside({ found }: { found: UseQueryResult<{ rows: Row[]; total: number }> }) {
  return (
    <Loaded of={found}>
      {({ rows, total }) => (
        <>
          <p>{t.groups.inside(total)}</p>
          <ul>
            {rows.slice(0, NAMED).map((row) => (
              <li key={row.id}>
                <AppLink to={pageOf(row.id)}>{row.name}</AppLink> {typeColumn.text(row)}
              </li>
            ))}
          </ul>
          {total > NAMED && <p>{t.groups.insideMore(total - NAMED)}</p>}
        </>
      )}
    </Loaded>
  );
}
