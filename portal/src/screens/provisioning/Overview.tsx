import { Button } from "@fluentui/react-components";
import { ArrowClockwiseRegular, DeleteRegular } from "@fluentui/react-icons";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "react-router";
import type { Resource } from "../../api/arm";
import { putStep } from "../../api/putBack";
import { groupId, pageOf, parseId, type ResourceId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { CommandBar, CommandButton } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { later, soon } from "../../frames/later";
import { useSubscription } from "../../frames/load";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { tagsText } from "../../tagsText";
import { DeleteResource } from "../common/DeleteResource";
import { lockedBy, useLocks } from "../common/locksOver";
import type { NamespacePaneProps } from "./NamespacePane";
import { serviceHost } from "./host";
import { linkedHubs, namespaceLink, shortHub, withoutNamespace } from "./service";

const NamespacePane = later<NamespacePaneProps>(() => import("./NamespacePane"));
const JsonPane = soon(() => import("../common/JsonPane"));

export default function Overview({ id, resource }: BladeProps) {
  const client = useQueryClient();
  const [json, setJson] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const subscription = useSubscription(id.subscription);
  const locks = useLocks(id.id);
  const text = (name: string) => String(resource?.properties?.[name] ?? "");
  const hubs = linkedHubs(resource);
  return (
    <>
      <CommandBar
        commands={[
          { id: "refresh", label: t.list.refresh, icon: <ArrowClockwiseRegular />, onClick: () => void client.invalidateQueries() },
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: { action: "Microsoft.Devices/provisioningServices/delete", scope: id.id }, off: lockedBy(locks.data), onClick: () => setDeleting(true) },
        ]}
      />
      <Essentials
        aside={<Button onClick={() => setJson(true)}>{t.blades.json}</Button>}
        facts={[
          { label: t.dps.status, value: text("state") },
          { label: t.dps.serviceEndpoint, value: serviceHost(resource) },
          { label: t.dps.deviceEndpoint, value: text("deviceProvisioningHostName") },
          { label: t.dps.idScope, value: text("idScope") },
          { label: t.dps.pricing, value: resource?.sku?.name },
          { label: t.columns.group, value: id.group, to: pageOf(groupId(id.subscription ?? "", id.group ?? "")) },
          { label: t.columns.location, value: resource?.location },
          { label: t.columns.subscription, value: subscription?.displayName ?? id.subscription, to: pageOf(`/subscriptions/${id.subscription}`) },
          { label: t.dps.linkedHubs, value: hubs.map((hub) => shortHub(hub.name)).join(", ") || (resource && t.common.none), to: pageOf(id.id, "linked-hubs") },
          { label: t.enrollments.title, value: undefined, show: <AppLink to={pageOf(id.id, "enrollments")}>{t.enrollments.title}</AppLink> },
          { label: t.dps.namespace, value: undefined, show: resource ? <NamespaceFact id={id} resource={resource} /> : "–" },
          { label: t.columns.tags, value: resource && (tagsText(resource.tags) || t.common.none), to: pageOf(id.id, "tags") },
        ]}
      />
      <Pane open={json} wide title={t.blades.json} onClose={() => setJson(false)}>
        <JsonPane id={id} />
      </Pane>
      <DeleteResource id={id} open={deleting} title={t.dps.deletePlan(id.name)} onClose={() => setDeleting(false)}>
        <p>{t.dps.deleteText}</p>
      </DeleteResource>
    </>
  );
}

/** The namespace with **Change** and **Remove**, or the way to one. */
function NamespaceFact({ id, resource }: { id: ResourceId; resource: Resource }) {
  const [params, setParams] = useSearchParams();
  const [removing, setRemoving] = useState(false);
  const needs = { action: "Microsoft.Devices/provisioningServices/write", scope: id.id };
  const linked = namespaceLink(resource).resourceId;
  const open = params.get("pane") === "namespace";
  const show = (wanted: boolean) => setParams(wanted ? { pane: "namespace" } : {});
  const title = t.dps.removePlan(id.name);
  return (
    <>
      {linked && <AppLink to={pageOf(linked)}>{parseId(linked)?.name ?? linked}</AppLink>}{" "}
      <CommandButton command={{ id: "namespace", label: linked ? t.dps.change : t.dps.addNamespace, needs, onClick: () => show(true) }} />
      {linked && <CommandButton command={{ id: "remove", label: t.dps.remove, needs, onClick: () => setRemoving(true) }} />}
      <NamespacePane id={id} resource={resource} open={open} onClose={() => show(false)} />
      <Confirm open={removing} title={title} action={t.dps.remove} onConfirm={() => deployments.start({ title, steps: [putStep(title, resource, withoutNamespace(resource))] })} onClose={() => setRemoving(false)}>
        {t.dps.removeText}
      </Confirm>
    </>
  );
}
