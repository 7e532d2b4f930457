import { Text } from "@fluentui/react-components";
import { useState } from "react";
import { JsonView } from "../../frames/JsonView";
import { Pane } from "../../frames/Pane";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import type { Role } from "./access";

/** What a role permits. */
export interface RoleProps {
  open: boolean;
  role: Role | undefined;
  onClose: () => void;
}

export default function RolePane({ open, role, onClose }: RoleProps) {
  const [tab, setTab] = useState("permissions");
  return (
    <Pane open={open} wide title={role?.properties.roleName ?? ""} onClose={onClose}>
      {role && (
        <>
          <p>{role.properties.description}</p>
          <TabList selectedValue={tab} onTabSelect={(_, data) => setTab(data.value)}>
            <Tab value="permissions">{t.iam.permissions}</Tab>
            <Tab value="json">JSON</Tab>
          </TabList>
          {tab === "json" ? <JsonView value={role} name={role.properties.roleName} /> : <Permissions role={role} />}
        </>
      )}
    </Pane>
  );
}

function Permissions({ role }: { role: Role }) {
  const lists = (["actions", "notActions", "dataActions", "notDataActions"] as const).map((kind) => ({
    kind,
    actions: role.properties.permissions.flatMap((each) => each[kind] ?? []),
  }));
  return lists
    .filter((list) => list.actions.length > 0)
    .map((list) => (
      <section key={list.kind}>
        <Text as="h3" weight="semibold">
          {t.iam.lists[list.kind]}
        </Text>
        <ul>
          {list.actions.map((action) => (
            <li key={action}>
              <code>{action}</code>
            </li>
          ))}
        </ul>
      </section>
    ));
}
