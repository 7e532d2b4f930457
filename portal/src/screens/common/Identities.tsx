/** The identities of a hub or a provisioning service: its own, and user-assigned ones. */

import { Text } from "@fluentui/react-components";
import { useState } from "react";
import { useSearchParams } from "react-router";
import type { Resource } from "../../api/arm";
import { identityOf, putStep, sentOf, usersOf } from "../../api/putBack";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { SwitchField } from "../../frames/Fields";
import type { BladeProps } from "../../frames/ResourcePage";
import { RefusedFacts } from "../../frames/Refused";
import { useMay } from "../../frames/rights";
import { deployments } from "../../shell/useDeployments";
import { Tab, TabList } from "../../frames/Tabs";
import { soon } from "../../frames/later";
import { t } from "../../texts";

const Users = soon(() => import("./UserIdentities"));

export default function Identities({ id, resource }: BladeProps) {
  const [params, setParams] = useSearchParams();
  const tab = params.get("tab") ?? "system";
  if (!resource) return null;
  return (
    <>
      <TabList selectedValue={tab} onTabSelect={(_, data) => setParams({ tab: data.value })}>
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
