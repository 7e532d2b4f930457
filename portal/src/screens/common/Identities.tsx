/** The identities of a hub or a provisioning service: its own, and user-assigned ones. */

import { Checkbox, SearchBox, Tab, TabList, Text, Button } from "@fluentui/react-components";
import { AddRegular, DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import type { Resource } from "../../api/arm";
import { identityOf, putStep, sentOf, usersOf } from "../../api/putBack";
import { pageOf, parseId, sameId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { SwitchField } from "../../frames/Fields";
import { Failure } from "../../frames/Failure";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { Loaded } from "../../frames/Loaded";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { RefusedFacts } from "../../frames/Refused";
import { useMay } from "../../frames/rights";
import { SubscriptionField } from "../../frames/SubscriptionField";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { linkedIdentity } from "../hubs/hub";
import { useFurtherIdentities, useUserIdentities } from "./IdentityField";

interface User {
  id: string;
  principalId: string;
  clientId: string;
}

export default function Identities({ id, resource }: BladeProps) {
  const [params, setParams] = useSearchParams();
  const tab = params.get("tab") ?? "system";
  if (!resource) return null;
  return (
    <>
      <TabList selectedValue={tab} onTabSelect={(_, data) => setParams({ tab: String(data.value) })}>
        <Tab value="system">{t.hubIdentity.system}</Tab>
        <Tab value="user">{t.hubIdentity.user}</Tab>
      </TabList>
      {tab === "user" ? <Users id={id} resource={resource} /> : <Own id={id} resource={resource} />}
    </>
  );
}

function Own({ id, resource }: { id: BladeProps["id"]; resource: Resource }) {
  const [asked, setAsked] = useState<boolean | undefined>(undefined);
  const need = { action: `${id.type}/write`, scope: id.id };
  const may = useMay(need);
  const principal = resource.identity?.principalId;
  const title = asked ? t.hubIdentity.on(id.name) : t.hubIdentity.off(id.name);
  const change = (wanted: boolean) => {
    const sent = { ...sentOf(resource), identity: identityOf(wanted, usersOf(resource.identity)) };
    deployments.start({ title, steps: [putStep(title, resource, sent)] });
  };
  return (
    <>
      <Text block>{t.hubIdentity.systemText}</Text>
      <SwitchField label={t.hubIdentity.status} value={principal !== undefined} disabled={!may} onChange={setAsked} />
      {!may && <RefusedFacts denied={need} />}
      {principal && (
        <Essentials
          facts={[
            { label: t.hubIdentity.objectId, value: principal },
            { label: t.namespaces.roles, value: undefined, show: <AppLink to={`${pageOf(`/subscriptions/${id.subscription}`, "iam")}?tab=assignments&filter=${principal}`}>{t.namespaces.roles}</AppLink> },
          ]}
        />
      )}
      <Confirm open={asked !== undefined} title={title} action={t.common.yes} onConfirm={() => asked !== undefined && change(asked)} onClose={() => setAsked(undefined)}>
        {asked ? t.hubIdentity.onText : t.hubIdentity.offText}
      </Confirm>
    </>
  );
}

const COLUMNS: Column<User>[] = [
  { id: "name", label: t.columns.name, text: (user) => parseId(user.id)?.name ?? user.id, show: (user) => <AppLink to={pageOf(user.id)}>{parseId(user.id)?.name ?? user.id}</AppLink> },
  { id: "group", label: t.columns.group, text: (user) => parseId(user.id)?.group ?? "" },
  { id: "principal", label: t.hubIdentity.objectId, text: (user) => user.principalId },
  { id: "client", label: t.hubIdentity.clientId, text: (user) => user.clientId, hidden: true },
];

function Users({ id, resource }: { id: BladeProps["id"]; resource: Resource }) {
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

/** Subscription, filter, check boxes, **Add**. */
function AddPane(props: { open: boolean; subscription: string; there: string[]; onClose: () => void; onAdd: (ids: string[]) => void }) {
  const [subscription, setSubscription] = useState(props.subscription);
  const [wanted, setWanted] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const found = useUserIdentities(props.open ? subscription : "");
  const beyond = useFurtherIdentities(subscription, found.data?.more === true ? wanted.trim() : "");
  const close = () => {
    setChosen([]);
    props.onClose();
  };
  return (
    <Pane
      open={props.open}
      title={t.hubIdentity.associateTitle}
      onClose={close}
      footer={
        <Button
          appearance="primary"
          disabledFocusable={chosen.length === 0}
          onClick={() => {
            if (chosen.length === 0) return;
            setChosen([]);
            props.onAdd(chosen);
          }}
        >
          {t.hubIdentity.add}
        </Button>
      }
    >
      <SubscriptionField required value={subscription} onChange={setSubscription} />
      <SearchBox value={wanted} placeholder={t.list.filter} aria-label={t.list.filter} onChange={(_, data) => setWanted(data.value)} />
      <Loaded of={found}>
        {({ rows, more }) => {
          const free = [...rows, ...(beyond.data ?? []).filter((far) => !rows.some((row) => sameId(row.id, far.id)))].filter((row) => !props.there.some((id) => sameId(id, row.id)) && row.name.toLowerCase().includes(wanted.trim().toLowerCase()));
          return (
            <>
              {more && <Text block>{t.fields.cut(rows.length, false)}</Text>}
              {beyond.error && <Failure fault={beyond.error} retry={() => void beyond.refetch()} />}
              {free.length === 0 && <p role="status">{beyond.isFetching ? t.fields.asking : t.hubIdentity.none}</p>}
              {free.map((row) => (
            <div key={row.id}>
              <Checkbox
                label={`${row.name} (${row.resourceGroup})`}
                checked={chosen.includes(row.id)}
                onChange={(_, data) => setChosen(data.checked === true ? [...chosen, row.id] : chosen.filter((id) => id !== row.id))}
              />
            </div>
              ))}
            </>
          );
        }}
      </Loaded>
    </Pane>
  );
}
