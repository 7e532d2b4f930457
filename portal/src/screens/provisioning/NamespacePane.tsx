import { Button } from "@fluentui/react-components";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Resource } from "../../api/arm";
import { asFault, type Fault } from "../../api/fault";
import { putStep } from "../../api/putBack";
import type { ResourceId } from "../../api/resourceId";
import { azLine } from "../../azLine";
import { AzLine } from "../../frames/AzLine";
import { Failure } from "../../frames/Failure";
import { Pane } from "../../frames/Pane";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { IdentityField } from "../common/IdentityField";
import { NamespaceField } from "../common/NamespaceField";
import { namespaceLink, withNamespace } from "./service";

/** **Click here to add a namespace**: chosen or made here, with the identity by which the service works on it. */
export interface NamespacePaneProps {
  id: ResourceId;
  resource: Resource;
  open: boolean;
  onClose: () => void;
  onLinked?: () => void;
}

export default function NamespacePane({ id, resource, open, onClose, onLinked }: NamespacePaneProps) {
  const link = namespaceLink(resource);
  return (
    <Pane open={open} wide title={t.dps.addTitle} onClose={onClose}>
      <Form key={link.resourceId ?? ""} id={id} resource={resource} onClose={onClose} {...(onLinked ? { onLinked } : {})} />
    </Pane>
  );
}

function Form({ id, resource, onClose, onLinked }: { id: ResourceId; resource: Resource; onClose: () => void; onLinked?: () => void }) {
  const client = useQueryClient();
  const link = namespaceLink(resource);
  const [namespace, setNamespace] = useState(link.resourceId ?? "");
  const [identity, setIdentity] = useState(link.selectedUserAssignedIdentityResourceId ?? "");
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  useEffect(() => setFault(undefined), [namespace, identity]);
  const editing = link.resourceId !== undefined;
  const ready = namespace !== "" && identity !== "";
  const at = fault?.target?.toLowerCase() ?? "";
  const ofIdentity = at.includes("identity") || at.includes("authenticationtype");
  const add = async () => {
    setAsked(true);
    if (!ready || busy) return;
    setBusy(true);
    setFault(undefined);
    const title = t.dps.linkPlan(id.name);
    try {
      await deployments.perform({ title, steps: [putStep(title, resource, withNamespace(resource, namespace, identity))] });
      await client.invalidateQueries();
      onLinked?.();
      onClose();
    } catch (thrown) {
      setFault(asFault(thrown));
      await client.invalidateQueries({ queryKey: ["arm", id.id.toLowerCase()] });
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <NamespaceField
        label={t.dps.namespace}
        required
        value={namespace}
        subscription={id.subscription ?? ""}
        location={resource.location ?? ""}
        fault={asked && namespace === "" ? t.dps.chooseNamespace : at !== "" && !ofIdentity ? fault?.message : undefined}
        onChange={setNamespace}
      />
      <IdentityField
        label={t.dps.identity}
        required
        value={identity}
        subscription={id.subscription ?? ""}
        namespace={namespace || undefined}
        fault={asked && identity === "" ? t.dps.chooseIdentity : ofIdentity ? fault?.message : undefined}
        onChange={setIdentity}
      />
      {fault && at === "" && <Failure fault={fault} />}
      {ready && <AzLine lines={azLine("iot dps update", { "name": id.name, "resource-group": id.group, "mi-user-assigned": identity, "ns-resource-id": namespace, "ns-identity-id": identity })} />}
      <Button appearance="primary" disabledFocusable={busy} onClick={() => void add()} style={{ marginTop: "12px" }}>
        {editing ? t.dps.save : t.dps.add}
      </Button>
    </>
  );
}
