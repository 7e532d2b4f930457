/** **Add link to IoT hub**: by an access policy of the hub, or by an identity of the service. */

import { Button, Radio, RadioGroup, Text } from "@fluentui/react-components";
import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import type { Resource } from "../../api/arm";
import { asFault, Fault } from "../../api/fault";
import { quote } from "../../api/graphQuery";
import { putStep, usersOf } from "../../api/putBack";
import { parseId, type ResourceId } from "../../api/resourceId";
import { azLine } from "../../azLine";
import { AzLine } from "../../frames/AzLine";
import { Failure } from "../../frames/Failure";
import { ChoiceField, SwitchField, TextField } from "../../frames/Fields";
import { graphFinder } from "../../frames/resourceFinders";
import { Pane } from "../../frames/Pane";
import { SubscriptionField } from "../../frames/SubscriptionField";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { Row } from "../common/columns";
import { connectionString } from "../common/sharedKeys";
import { hostIn, HUBS, useHubs } from "./hubs";
import { keyOf } from "./relink";
import { linkedHubs, weightFault, withHubs, type LinkedHub } from "./service";

/** Policies that every hub has with the rights of a link: their keys are read only when somebody saves. */
const POLICIES = [{ value: "iothubowner", label: "iothubowner (RegistryWrite, ServiceConnect, DeviceConnect)" }];

type Way = "KeyBased" | "SystemAssigned" | "UserAssigned";

export interface LinkHubProps {
  id: ResourceId;
  resource: Resource;
  open: boolean;
  onClose: () => void;
  onLinked?: () => void;
}

export default function LinkHubPane({ id, resource, open, onClose, onLinked }: LinkHubProps) {
  return (
    <Pane open={open} title={t.linked.addTitle} onClose={onClose}>
      <Form id={id} resource={resource} onClose={onClose} {...(onLinked ? { onLinked } : {})} />
    </Pane>
  );
}

function Form({ id, resource, onClose, onLinked }: { id: ResourceId; resource: Resource; onClose: () => void; onLinked?: () => void }) {
  const client = useQueryClient();
  const hubs = useHubs();
  const [subscription, setSubscription] = useState(id.subscription ?? "");
  const [hubId, setHubId] = useState("");
  const [way, setWay] = useState<Way>("KeyBased");
  const [policy, setPolicy] = useState("iothubowner");
  const [user, setUser] = useState("");
  const [weight, setWeight] = useState("1");
  const [apply, setApply] = useState(true);
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  const there = new Set(linkedHubs(resource).map((link) => link.name.toLowerCase()));
  const rows = [...(hubs.data?.byHost.values() ?? [])].filter((row) => row.subscriptionId === subscription);
  // Hubs that were found and not read.
  const far = useRef(new Map<string, Row>());
  const choiceOf = (row: Row) => ({ value: row.id, label: row.name, off: there.has(hostIn(row).toLowerCase()) ? t.linked.already : undefined });
  const finder = graphFinder<Row>(`${HUBS} | where subscriptionId =~ ${quote(subscription)}`, (row) => {
    far.current.set(row.id, row);
    return choiceOf(row);
  });
  const hub = rows.find((row) => row.id === hubId) ?? far.current.get(hubId);
  const users = usersOf(resource.identity);
  const ready = hub !== undefined && !weightFault(weight) && (way !== "UserAssigned" || user !== "");
  const save = async () => {
    setAsked(true);
    if (!ready || !hub || busy) return;
    setBusy(true);
    setFault(undefined);
    const title = t.linked.linkPlan(hub.name);
    try {
      const link = { ...(await linkOf(hub, way, policy, user)), allocationWeight: Number(weight), applyAllocationPolicy: apply };
      await deployments.perform({ title, steps: [{ ...putStep(title, resource, withHubs(resource, (each) => each, [link])), secret: way === "KeyBased" }] });
      await client.invalidateQueries();
      onLinked?.();
      onClose();
    } catch (thrown) {
      setFault(asFault(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <SubscriptionField required value={subscription} onChange={setSubscription} />
      <ChoiceField
        label={t.linked.hub}
        required
        value={hubId || undefined}
        choices={rows.map(choiceOf)}
        of={hubs}
        finder={finder}
        fault={asked && !hub ? t.linked.chooseHub : undefined}
        onChange={setHubId}
      />
      <Text id="link-way" weight="semibold" block>
        {t.linked.authentication}
      </Text>
      <RadioGroup aria-labelledby="link-way" value={way} onChange={(_, data) => setWay(data.value as Way)}>
        <Radio value="KeyBased" label={t.linked.byPolicy} />
        <Radio value="SystemAssigned" disabled={!resource.identity?.principalId} label={resource.identity?.principalId ? t.linked.bySystem : `${t.linked.bySystem} (${t.linked.noSystem})`} />
        <Radio value="UserAssigned" disabled={users.length === 0} label={users.length > 0 ? t.linked.byUser : `${t.linked.byUser} (${t.linked.noUser})`} />
      </RadioGroup>
      {way === "KeyBased" && <ChoiceField label={t.linked.policy} required value={policy} choices={POLICIES} hint={t.linked.readKeys} onChange={setPolicy} />}
      {way === "UserAssigned" && (
        <ChoiceField label={t.linked.identity} required value={user || undefined} choices={users.map((each) => ({ value: each, label: parseId(each)?.name ?? each }))} hint={t.linked.identityHint} fault={asked && !user ? t.linked.chooseIdentity : undefined} onChange={setUser} />
      )}
      {way === "SystemAssigned" && <Text block>{t.linked.identityHint}</Text>}
      <TextField label={t.linked.weight} required type="number" value={weight} fault={weightFault(weight)} onChange={setWeight} />
      <SwitchField label={t.linked.apply} value={apply} onChange={setApply} />
      {fault && <Failure fault={fault} />}
      {hub && way === "KeyBased" && (
        <AzLine lines={azLine("iot dps linked-hub create", { "dps-name": id.name, "resource-group": id.group, "hub-name": hub.name, "hub-resource-group": hub.resourceGroup, "allocation-weight": weight, "apply-allocation-policy": String(apply) })} />
      )}
      <Button appearance="primary" disabledFocusable={busy} onClick={() => void save()} style={{ marginTop: "12px" }}>
        {t.linked.save}
      </Button>
    </>
  );
}

/** The entry that links `hub`. */
async function linkOf(hub: Row, way: Way, policy: string, user: string): Promise<LinkedHub> {
  const host = String(hub.properties?.["hostName"] ?? "");
  const base: LinkedHub = { name: host, hostName: host, location: hub.location, authenticationType: way };
  if (way === "SystemAssigned") return base;
  if (way === "UserAssigned") return { ...base, selectedUserAssignedIdentityResourceId: user };
  return { ...base, connectionString: connectionString(host, await keyOf(hub.id, policy), "primaryKey") };
}
