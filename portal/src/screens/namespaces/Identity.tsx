import { Text } from "@fluentui/react-components";
import { useState } from "react";
import { armPath } from "../../api/arm";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { SwitchField } from "../../frames/Fields";
import { RefusedFacts } from "../../frames/Refused";
import type { BladeProps } from "../../frames/ResourcePage";
import { useMay } from "../../frames/rights";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";

/** The identity of a namespace: on, off, and as whom it acts. */
export default function Identity({ id, resource }: BladeProps) {
  const [asked, setAsked] = useState<boolean | undefined>(undefined);
  const need = { action: "Microsoft.DeviceRegistry/namespaces/write", scope: id.id };
  const may = useMay(need);
  if (!resource) return null;
  const on = (resource.identity?.type ?? "None").includes("SystemAssigned");
  const change = (wanted: boolean) => {
    const title = wanted ? t.namespaces.identityOn(id.name) : t.namespaces.identityOffPlan(id.name);
    deployments.start({ title, steps: [{ title, method: "PATCH", path: armPath(id.id), body: { identity: { type: wanted ? "SystemAssigned" : "None" } } }] });
  };
  return (
    <>
      <Text block>{t.namespaces.identityText}</Text>
      <SwitchField label={t.namespaces.status} value={on} disabled={!may} onChange={setAsked} />
      {!may && <RefusedFacts denied={need} />}
      {on && (
        <Essentials
          facts={[
            { label: t.namespaces.objectId, value: resource.identity?.principalId },
            { label: t.namespaces.roles, value: undefined, show: <AppLink to={pageOf(`/subscriptions/${id.subscription}`, "iam") + `?tab=assignments&filter=${resource.identity?.principalId}`}>{t.namespaces.roles}</AppLink> },
          ]}
        />
      )}
      <Confirm
        open={asked !== undefined}
        title={asked ? t.namespaces.identityOn(id.name) : t.namespaces.identityOffPlan(id.name)}
        action={t.common.yes}
        onConfirm={() => asked !== undefined && change(asked)}
        onClose={() => setAsked(undefined)}
      >
        {asked ? t.namespaces.identityOnText : t.namespaces.noIdentityWarning}
      </Confirm>
    </>
  );
}
