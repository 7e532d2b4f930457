import { Button, Slider } from "@fluentui/react-components";
import { AddRegular, DeleteRegular } from "@fluentui/react-icons";
import { useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { Resource } from "../../api/arm";
import { putStep } from "../../api/putBack";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { Failure } from "../../frames/Failure";
import { SwitchField, TextField } from "../../frames/Fields";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { later } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { Row } from "../common/columns";
import { useHubs } from "./hubs";
import type { LinkHubProps } from "./LinkHubPane";
import { relink } from "./relink";
import { authenticationText, linkedHubs, linkState, shortHub, weightFault, withHubs, type LinkedHub } from "./service";

const LinkHubPane = later<LinkHubProps>(() => import("./LinkHubPane"));

export default function LinkedHubs({ id, resource }: BladeProps) {
  const hubs = useHubs();
  const [adding, setAdding] = useState(false);
  const [shown, setShown] = useState<LinkedHub | undefined>(undefined);
  const [removing, setRemoving] = useState<LinkedHub[]>([]);
  const links = useMemo(() => linkedHubs(resource), [resource]);
  const source = useMemo(() => whole(["linked-hubs", id.id.toLowerCase(), resource?.etag], async () => links), [id.id, resource?.etag, links]);
  const columns = useMemo((): Column<LinkedHub>[] => {
    const row = (link: LinkedHub) => hubs.data?.byHost.get(link.name.toLowerCase());
    return [
      {
        id: "hub",
        label: t.linked.hub,
        text: (link) => shortHub(link.name),
        show: (link) => (
          <Button appearance="transparent" size="small" onClick={() => setShown(link)}>
            {shortHub(link.name)}
          </Button>
        ),
      },
      { id: "location", label: t.columns.location, text: (link) => link.location ?? "" },
      { id: "weight", label: t.linked.weight, text: (link) => String(link.allocationWeight ?? 1) },
      { id: "apply", label: t.linked.apply, text: (link) => (link.applyAllocationPolicy === false ? t.common.no : t.common.yes) },
      { id: "policy", label: t.linked.policy, text: authenticationText },
      { id: "state", label: t.linked.keyState, text: (link) => linkState(hubs.data && row(link) !== undefined, hubs.error !== null) },
      { id: "manage", label: t.linked.manage, text: (link) => row(link)?.id ?? "", show: (link) => <Manage id={row(link)?.id} />, unsorted: true },
    ];
  }, [hubs.data, hubs.error]);
  const needs = { action: "Microsoft.Devices/provisioningServices/write", scope: id.id };
  const remove = () => {
    if (!resource) return;
    const gone = new Set(removing.map((link) => link.name));
    const title = t.linked.removePlan(removing.length, id.name);
    deployments.start({ title, steps: [putStep(title, resource, withHubs(resource, (link) => (gone.has(link.name) ? undefined : link)))] });
  };
  if (!resource) return null;
  return (
    <>
      {hubs.error && <Failure fault={hubs.error} retry={() => void hubs.refetch()} />}
      <List
        label={t.plantBlades.linkedHubs}
        source={source}
        columns={columns}
        rowId={(link) => link.name}
        selectable
        commands={(picked) => [
          { id: "add", label: t.linked.add, icon: <AddRegular />, needs, onClick: () => setAdding(true) },
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs, off: picked.rows.length === 0 ? t.hubs.markFirst : undefined, onClick: () => setRemoving(picked.rows) },
        ]}
        empty={t.linked.empty}
      />
      <LinkHubPane id={id} resource={resource} open={adding} onClose={() => setAdding(false)} />
      <Pane open={shown !== undefined} title={t.linked.details} onClose={() => setShown(undefined)}>
        {shown && <Details id={id} resource={resource} link={shown} hub={hubs.data?.byHost.get(shown.name.toLowerCase())} onDone={() => setShown(undefined)} />}
      </Pane>
      <Confirm open={removing.length > 0} title={t.linked.removePlan(removing.length, id.name)} action={t.common.yes} onConfirm={remove} onClose={() => setRemoving([])}>
        <p>{t.linked.removeText}</p>
        <ul>
          {removing.map((link) => (
            <li key={link.name}>{link.name}</li>
          ))}
        </ul>
      </Confirm>
    </>
  );
}

function Manage({ id }: { id: string | undefined }) {
  return id ? <AppLink to={pageOf(id)}>{t.linked.manage}</AppLink> : "";
}

/** Weight and whether the allocation policy counts the hub; a key that was exchanged at the hub is taken over. */
function Details({ id, resource, link, hub, onDone }: { id: BladeProps["id"]; resource: Resource; link: LinkedHub; hub: Row | undefined; onDone: () => void }) {
  const [weight, setWeight] = useState(String(link.allocationWeight ?? 1));
  const [apply, setApply] = useState(link.applyAllocationPolicy !== false);
  const fault = weightFault(weight);
  const title = t.linked.changePlan(shortHub(link.name));
  const relinking = useMutation({ mutationFn: (of: string) => relink(id, resource, link, of), onSuccess: onDone });
  const save = () => {
    if (fault) return;
    const sent = withHubs(resource, (each) => (each.name === link.name ? { ...each, allocationWeight: Number(weight), applyAllocationPolicy: apply } : each));
    deployments.start({ title, steps: [putStep(title, resource, sent)] });
    onDone();
  };
  return (
    <>
      <p>{link.name}</p>
      <TextField label={t.linked.weight} required type="number" value={weight} fault={fault} onChange={setWeight} />
      <Slider aria-label={t.linked.weight} min={0} max={1000} value={Number(weight) || 0} onChange={(_, data) => setWeight(String(data.value))} />
      <SwitchField label={t.linked.apply} value={apply} onChange={setApply} />
      <p>
        <Manage id={hub?.id} />
      </p>
      <Button appearance="primary" disabledFocusable={fault !== undefined} onClick={save}>
        {t.linked.save}
      </Button>{" "}
      {link.authenticationType !== "SystemAssigned" && link.authenticationType !== "UserAssigned" && hub && (
        <Button title={t.linked.relinkText} disabledFocusable={relinking.isPending} onClick={() => !relinking.isPending && relinking.mutate(hub.id)}>
          {t.linked.relink}
        </Button>
      )}
      {relinking.error && <Failure fault={relinking.error} />}
    </>
  );
}
