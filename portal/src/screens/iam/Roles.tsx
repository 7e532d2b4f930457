import { Button } from "@fluentui/react-components";
import { useMemo, useState } from "react";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { later } from "../../frames/later";
import { t } from "../../texts";
import { categoryOf, rolesAt, type Role } from "./access";
import type { RoleProps } from "./RolePane";

const RolePane = later<RoleProps>(() => import("./RolePane"));

/** The roles that can be given at a scope. */
export function Roles({ scope }: { scope: string }) {
  const [shown, setShown] = useState<Role | undefined>(undefined);
  const source = useMemo(() => whole(["roles-list", scope.toLowerCase()], (signal) => rolesAt(scope, signal)), [scope]);
  const columns = useMemo(
    (): Column<Role>[] => [
      { id: "name", label: t.columns.name, text: (role) => role.properties.roleName },
      { id: "description", label: t.iam.description, text: (role) => role.properties.description ?? "" },
      { id: "type", label: t.columns.type, text: (role) => role.properties.type },
      { id: "category", label: t.iam.category, text: categoryOf },
      {
        id: "view",
        label: t.iam.details,
        text: (role) => role.name,
        show: (role) => (
          <Button size="small" appearance="transparent" aria-label={t.iam.viewRole(role.properties.roleName)} onClick={() => setShown(role)}>
            {t.iam.view}
          </Button>
        ),
        unsorted: true,
      },
    ],
    [],
  );
  const types = ["BuiltInRole", "CustomRole"].map((value) => ({ value, label: value }));
  return (
    <>
      <List label={t.iam.roles} source={source} columns={columns} rowId={(role) => role.id} facets={[{ id: "type", label: t.columns.type, choices: types, value: (role) => role.properties.type }]} empty={t.iam.noRoles} />
      <RolePane open={shown !== undefined} role={shown} onClose={() => setShown(undefined)} />
    </>
  );
}
