import { Button, Checkbox, Spinner } from "@fluentui/react-components";
import { ArrowClockwiseRegular, DismissCircleRegular, PauseRegular, PlayRegular } from "@fluentui/react-icons";
import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { armPath, type Resource } from "../../api/arm";
import { pageOf, parseId } from "../../api/resourceId";
import { azLine } from "../../azLine";
import { AppLink } from "../../frames/AppLink";
import { AzLine } from "../../frames/AzLine";
import { CommandBar } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { Failure } from "../../frames/Failure";
import { soon } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { tagsText } from "../../tagsText";
import { useStandings } from "../namespaces/facts";
import { useHubs } from "../provisioning/hubs";
import { hubsOf, type RegistryRow } from "./devices";
import { devicePage } from "./paths";
import { namespaceOf, notOn, NotOnBadges } from "./notOn";

const Inventory = soon(async () => ({ default: (await import("../certificates/Inventory")).Inventory }));
const JsonPane = soon(() => import("../common/JsonPane"));

/** A device of a namespace: what it is, its certificates, and how they are taken away. */
export default function RegistryOverview({ id, resource }: BladeProps) {
  const client = useQueryClient();
  const [json, setJson] = useState(false);
  const [revoking, setRevoking] = useState(false);
  const [disable, setDisable] = useState(false);
  const namespace = namespaceOf(id.id);
  const standings = useStandings(namespace);
  const properties = (resource as unknown as Pick<RegistryRow, "properties"> | undefined)?.properties ?? {};
  const external = properties.externalDeviceId ?? id.name;
  const policy = properties.policy?.resourceId;
  const enabled = properties.enabled !== false;
  const needs = (word: string) => ({ action: `Microsoft.DeviceRegistry/namespaces/devices/${word}`, scope: id.id });
  const write = (wanted: boolean) => {
    const title = wanted ? `${t.devices.enable}: ${id.name}` : `${t.devices.disable}: ${id.name}`;
    deployments.start({ title, steps: [{ title, method: "PATCH", path: armPath(id.id), body: { properties: { enabled: wanted } } }] });
  };
  const revoke = () => {
    const title = t.devices.revokePlan(id.name);
    deployments.start({ title, steps: [{ title, method: "POST", path: armPath(`${id.id}/revoke`), body: { disable } }] });
  };
  return (
    <>
      <CommandBar
        commands={[
          { id: "refresh", label: t.list.refresh, icon: <ArrowClockwiseRegular />, onClick: () => void client.invalidateQueries() },
          enabled
            ? { id: "status", label: t.devices.disable, icon: <PauseRegular />, needs: needs("write"), onClick: () => write(false) }
            : { id: "status", label: t.devices.enable, icon: <PlayRegular />, needs: needs("write"), onClick: () => write(true) },
          { id: "revoke", label: t.devices.revoke, icon: <DismissCircleRegular />, needs: needs("revoke/action"), onClick: () => setRevoking(true) },
        ]}
      />
      <Essentials
        aside={<Button onClick={() => setJson(true)}>{t.blades.json}</Button>}
        facts={[
          { label: t.devices.externalId, value: external },
          { label: t.devices.status, value: resource && (enabled ? t.devices.enabled : t.devices.disabled) },
          { label: t.devices.namespace, value: parseId(namespace)?.name, to: pageOf(namespace) },
          { label: t.devices.policy, value: policy ? parseId(policy)?.name : undefined, to: policy ? pageOf(policy) : undefined },
          { label: t.devices.assignedHub, value: undefined, show: <Hubs properties={properties} device={external} /> },
          { label: t.columns.location, value: resource?.location },
          { label: t.columns.tags, value: resource && (tagsText(resource.tags) || t.common.none) },
        ]}
      />
      {standings.error && <Failure fault={standings.error} retry={() => void standings.refetch()} />}
      <p>
        <NotOnBadges at={notOn({ properties }, standings.data ?? [])} />
      </p>
      <Suspense fallback={<Spinner label={t.common.loading} />}>
        <Inventory namespace={namespace} device={external} />
      </Suspense>
      <Pane open={json} wide title={t.blades.json} onClose={() => setJson(false)}>
        <JsonPane id={id} />
      </Pane>
      <Confirm open={revoking} title={t.devices.revokePlan(id.name)} action={t.devices.revoke} onConfirm={revoke} onClose={() => setRevoking(false)}>
        <p>{t.devices.revokeText}</p>
        <Checkbox label={t.devices.revokeDisable} checked={disable} onChange={(_, data) => setDisable(data.checked === true)} />
        <AzLine lines={azLine("iot adr ns device revoke", { "namespace": parseId(namespace)?.name, "resource-group": id.group, "name": id.name, "disable": disable ? "true" : undefined })} />
      </Confirm>
    </>
  );
}

/** The hubs that it is on, each with the page of its identity there. */
function Hubs({ properties, device }: { properties: Resource["properties"] | RegistryRow["properties"]; device: string }) {
  const hubs = useHubs();
  const names = hubsOf({ properties: properties as RegistryRow["properties"] });
  return names.map((name) => {
    const row = [...(hubs.data?.byHost.values() ?? [])].find((each) => each.name.toLowerCase() === name.toLowerCase());
    return <span key={name}>{row ? <AppLink to={devicePage(row.id, device)}>{name}</AppLink> : name} </span>;
  });
}
