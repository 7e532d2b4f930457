import { Button } from "@fluentui/react-components";
import { AddRegular, DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { putStep } from "../../api/putBack";
import { Confirm } from "../../frames/Confirm";
import { Failure } from "../../frames/Failure";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { later } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { soon } from "../../frames/later";
import { t } from "../../texts";
import { useHubs } from "./hubs";
import { Manage } from "./Manage";
import type { LinkHubProps } from "./LinkHubPane";
import { authenticationText, linkedHubs, linkState, shortHub, withHubs, type LinkedHub } from "./service";

const Details = soon(() => import("./LinkDetails"));

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
