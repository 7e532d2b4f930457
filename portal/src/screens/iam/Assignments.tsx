import { DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { armPath } from "../../api/arm";
import { pageOf, parseId, sameId, type ResourceId } from "../../api/resourceId";
import { API } from "../../api/versions";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { List, type Column, type Picked } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { givenAt, scopeText, type Given } from "./access";

export const givenColumns = (scope: string): Column<Given>[] => [
  { id: "name", label: t.columns.name, text: (row) => row.principal?.displayName ?? row.principalId },
  { id: "second", label: t.iam.objectId, text: (row) => row.principalId, hidden: true },
  { id: "type", label: t.columns.type, text: (row) => row.type },
  { id: "role", label: t.iam.role, text: (row) => row.role?.properties.roleName ?? row.roleId },
  {
    id: "scope",
    label: t.refused.scope,
    text: (row) => scopeText(row.scope, scope),
    show: (row) => (sameId(row.scope, scope) || !parseId(row.scope) ? scopeText(row.scope, scope) : <AppLink to={`${pageOf(row.scope, "iam")}?tab=assignments`}>{scopeText(row.scope, scope)}</AppLink>),
  },
  { id: "condition", label: t.iam.condition, text: (row) => row.condition || t.common.none, hidden: true },
  { id: "description", label: t.iam.description, text: (row) => row.description, hidden: true },
];

/** Who has which role here. */
export function Assignments({ id }: { id: ResourceId }) {
  const [removing, setRemoving] = useState<Picked<Given> | undefined>(undefined);
  const scope = id.id;
  const source = useMemo(() => whole(["given", scope.toLowerCase()], (signal) => givenAt(scope, undefined, signal)), [scope]);
  const columns = useMemo(() => givenColumns(scope), [scope]);
  const nameOf = (row: Given) => `${row.principal?.displayName ?? row.principalId}: ${row.role?.properties.roleName ?? row.roleId}`;
  const remove = () => {
    const steps = (removing?.rows ?? []).map((row) => ({ title: t.iam.removePlan(nameOf(row)), method: "DELETE" as const, path: armPath(row.id, API.authorization) }));
    deployments.start({ title: steps.length === 1 ? (steps[0]?.title ?? "") : t.iam.removeMany(steps.length), steps, independent: true });
    removing?.clear();
  };
  const kinds = Object.values(t.iam.kinds).map((value) => ({ value, label: value }));
  return (
    <>
      <List
        label={t.iam.assignments}
        source={source}
        columns={columns}
        rowId={(row) => row.id}
        selectable
        fixed={(row) => (sameId(row.scope, scope) ? undefined : t.iam.inheritedFixed(nameOf(row)))}
        facets={[
          { id: "type", label: t.columns.type, choices: kinds, value: (row) => row.type },
          { id: "scope", label: t.refused.scope, choices: [{ value: "here", label: t.iam.here }, { value: "above", label: t.iam.above }], value: (row) => (sameId(row.scope, scope) ? "here" : "above") },
        ]}
        commands={(picked) => [
          {
            id: "remove",
            label: t.common.remove,
            icon: <DeleteRegular />,
            needs: { action: "Microsoft.Authorization/roleAssignments/delete", scope },
            off: picked.rows.length === 0 ? t.iam.markFirst : undefined,
            onClick: () => setRemoving(picked),
          },
        ]}
        empty={t.iam.noAssignments}
      />
      <Confirm open={removing !== undefined} title={t.iam.removeTitle} action={t.common.remove} onConfirm={remove} onClose={() => setRemoving(undefined)}>
        <ul>
          {removing?.rows.map((row) => (
            <li key={row.id}>{nameOf(row)}</li>
          ))}
        </ul>
      </Confirm>
    </>
  );
}
