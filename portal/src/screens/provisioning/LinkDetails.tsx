/** Weight and whether the allocation policy counts the hub; a key that was exchanged at the hub is taken over. */

import { Button, Slider } from "@fluentui/react-components";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Resource } from "../../api/arm";
import { putStep } from "../../api/putBack";
import { Failure } from "../../frames/Failure";
import { SwitchField, TextField } from "../../frames/Fields";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { Row } from "../common/columns";
import { Manage } from "./Manage";
import { relink } from "./relink";
import { shortHub, weightFault, withHubs, type LinkedHub } from "./service";

export default function Details({ id, resource, link, hub, onDone }: { id: BladeProps["id"]; resource: Resource; link: LinkedHub; hub: Row | undefined; onDone: () => void }) {
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
