import { Radio, RadioGroup, Text } from "@fluentui/react-components";
import { useState } from "react";
import { putStep, sentOf } from "../../api/putBack";
import { CommandBar } from "../../frames/CommandBar";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";

/** How the service chooses among its hubs. */
export default function Allocation({ id, resource }: BladeProps) {
  const now = String(resource?.properties?.["allocationPolicy"] ?? "Hashed");
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const wanted = chosen ?? now;
  const title = t.allocation.plan(id.name);
  const save = () => {
    if (!resource) return;
    const sent = sentOf(resource);
    sent.properties["allocationPolicy"] = wanted;
    deployments.start({ title, steps: [putStep(title, resource, sent)] });
    setChosen(undefined);
  };
  return (
    <>
      <CommandBar
        commands={[
          { id: "save", label: t.common.save, off: wanted === now ? t.tagsBlade.same : undefined, needs: { action: "Microsoft.Devices/provisioningServices/write", scope: id.id }, onClick: save },
        ]}
      />
      <Text block>{t.allocation.hint}</Text>
      <RadioGroup aria-label={t.allocation.title} value={wanted} onChange={(_, data) => setChosen(data.value)}>
        {Object.entries(t.allocation.kinds).map(([kind, label]) => (
          <Radio key={kind} value={kind} label={label} />
        ))}
      </RadioGroup>
    </>
  );
}
