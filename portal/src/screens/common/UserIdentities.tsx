/** User-assigned identities of a hub or a provisioning service. */

import { Text } from "@fluentui/react-components";
import { AddRegular, DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import type { Resource } from "../../api/arm";
import { identityOf, putStep, sentOf } from "../../api/putBack";
import { pageOf, parseId, sameId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { later } from "../../frames/later";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { AddIdentityProps } from "./AddIdentityPane";
import { linkedIdentity } from "../hubs/hub";

const AddPane = later<AddIdentityProps>(() => import("./AddIdentityPane"));

interface User {
  id: string;
  principalId: string;
  clientId: string;
}

const COLUMNS: Column<User>[] = [
  { id: "name", label: t.columns.name, text: (user) => parseId(user.id)?.name ?? user.id, show: (user) => <AppLink to={pageOf(user.id)}>{parseId(user.id)?.name ?? user.id}</AppLink> },
  { id: "group", label: t.columns.group, text: (user) => parseId(user.id)?.group ?? "" },
  { id: "principal", label: t.hubIdentity.objectId, text: (user) => user.principalId },
  { id: "client", label: t.hubIdentity.clientId, text: (user) => user.clientId, hidden: true },
];

export default function Users({ id, resource }: { id: BladeProps["id"]; resource: Resource }) {
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<User[]>([]);
  const linked = linkedIdentity(resource);
  const needs = { action: `${id.type}/write`, scope: id.id };
  const users = useMemo(
    () => Object.entries(resource.identity?.userAssignedIdentities ?? {}).map(([user, ids]): User => ({ id: user, principalId: ids.principalId ?? "", clientId: ids.clientId ?? "" })),
    [resource.identity],
  );
  const source = useMemo(() => whole(["users-of", id.id.toLowerCase(), users.map((user) => user.id).join()], async () => users), [id.id, users]);
  const write = (title: string, wanted: string[]) => {
    const sent = { ...sentOf(resource), identity: identityOf(resource.identity?.principalId !== undefined, wanted) };
    deployments.start({ title, steps: [putStep(title, resource, sent)] });
  };
  return (
    <>
      <List
        label={t.hubIdentity.user}
        source={source}
        columns={COLUMNS}
        rowId={(user) => user.id}
        selectable
        fixed={(user) => (sameId(user.id, linked) ? t.hubIdentity.linked : undefined)}
        commands={(picked) => [
          { id: "associate", label: t.hubIdentity.associate, icon: <AddRegular />, needs, onClick: () => setAdding(true) },
          { id: "remove", label: t.hubIdentity.remove, icon: <DeleteRegular />, needs, off: picked.rows.length === 0 ? t.hubs.markFirst : undefined, onClick: () => setRemoving(picked.rows) },
        ]}
        empty={t.hubIdentity.empty}
      />
      {linked && <Text size={200}>{`${parseId(linked)?.name ?? linked}: ${t.hubIdentity.linked}`}</Text>}
      <AddPane
        open={adding}
        subscription={id.subscription ?? ""}
        there={users.map((user) => user.id)}
        onClose={() => setAdding(false)}
        onAdd={(more) => {
          setAdding(false);
          write(t.hubIdentity.addPlan(more.length, id.name), [...users.map((user) => user.id), ...more]);
        }}
      />
      <Confirm
        open={removing.length > 0}
        title={t.hubIdentity.removePlan(removing.length, id.name)}
        action={t.common.yes}
        onConfirm={() => write(t.hubIdentity.removePlan(removing.length, id.name), users.map((user) => user.id).filter((user) => !removing.some((gone) => gone.id === user)))}
        onClose={() => setRemoving([])}
      >
        {t.hubIdentity.removeText}
      </Confirm>
    </>
  );
}
