import { useMemo } from "react";
import { quote } from "../../api/graphQuery";
import { pageOf } from "../../api/resourceId";
import { Essentials } from "../../frames/Essentials";
import { List } from "../../frames/List";
import type { BladeProps } from "../../frames/ResourcePage";
import { TRACKED } from "../../resources";
import { t } from "../../texts";
import { nameColumn, placeColumns, rowId, typeColumn, typeSource } from "../common/columns";
import { tagsText } from "../../tagsText";

const COLUMNS = [nameColumn, typeColumn, ...placeColumns];

export default function Overview({ id, resource }: BladeProps) {
  const source = useMemo(() => typeSource(TRACKED, {}, ` | where subscriptionId =~ ${quote(id.name)}`), [id.name]);
  const of = resource as unknown as { displayName?: string; state?: string; tenantId?: string } | undefined;
  return (
    <>
      <Essentials
        facts={[
          { label: t.columns.name, value: of?.displayName },
          { label: t.groups.subscriptionId, value: id.name },
          { label: t.policies.status, value: of?.state },
          { label: t.subscriptions.tenant, value: of?.tenantId },
          { label: t.columns.tags, value: tagsText(resource?.tags), to: pageOf(id.id, "tags") },
        ]}
      />
      <List label={t.groups.resources} source={source} columns={COLUMNS} rowId={rowId} empty={t.allResources.empty} />
    </>
  );
}
