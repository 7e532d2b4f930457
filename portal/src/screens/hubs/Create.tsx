import { Checkbox, Radio, RadioGroup, Text } from "@fluentui/react-components";
import { useMemo } from "react";
import { armPath } from "../../api/arm";
import { groupId, pageOf, parseId, resourceId } from "../../api/resourceId";
import { useAccount } from "../../auth/account";
import { ChoiceField, TextField } from "../../frames/Fields";
import { useForm, type Form } from "../../frames/form";
import { soon } from "../../frames/later";
import { Page } from "../../frames/Page";
import { useMay } from "../../frames/rights";
import { groupSteps, scopeFaults } from "../../frames/ScopeFields";
import { Wizard, type Faults, type WizardTab } from "../../frames/Wizard";
import { basicsTab, tagsTab } from "../../frames/WizardTabs";
import { HUB } from "../../resources";
import { hubName, tagFaults, tagMap } from "../../rules";
import type { StepPlan } from "../../shell/deployments";
import { t } from "../../texts";
import { IdentityField, roleStep } from "../common/IdentityField";
import { useNameFree } from "../common/nameCheck";
import { NamespaceField } from "../common/NamespaceField";
import { AddOns, ComparedField, LimitField } from "./parts";
import { azLines, bodyOf, fieldOf, FIRST, partitionsFault, PREVIEW, type Values } from "./createHub";

const NumberSlider = soon(() => import("../../frames/NumberSlider"));

/** IoT Hub Data Contributor (Azure's built-in roles). */
const DATA_CONTRIBUTOR = "4fc6c259-987e-4a07-842e-c321cc9d413f";
const ASSIGN = "Microsoft.Authorization/roleAssignments/write";

export default function Create() {
  const form = useForm("create-hub", FIRST);
  const { values } = form;
  const account = useAccount();
  const rule = hubName(values.name);
  const check = useNameFree(values.subscription, "checkNameAvailability", rule ? undefined : values.name);
  const scope = values.subscription && values.group && !values.newGroup ? groupId(values.subscription, values.group) : `/subscriptions/${values.subscription}`;
  const mayAssign = useMay(values.subscription ? { action: ASSIGN, scope } : undefined);
  const assignment = useMemo(() => crypto.randomUUID(), []);
  const id = resourceId(values.subscription, values.group, HUB, values.name);
  const tags = tagMap(values.tags);
  const faults: Faults<Values> = {
    ...scopeFaults(values),
    name: rule ?? check.fault,
    identity: values.namespace && !values.identity ? t.hubs.identityNeeded : undefined,
    partitions: partitionsFault(values.partitions),
    tags: [...tagFaults(values.tags).values()][0],
  };
  const assign = values.assignMe && mayAssign;
  const body = bodyOf(values, tags);
  const steps: StepPlan[] = [...groupSteps(values), { title: t.hubs.plan(values.name), method: "PUT", path: armPath(id), body }];
  if (assign) steps.push(roleStep(t.hubs.assignMePlan, id, DATA_CONTRIBUTOR, account.objectId, "User", assignment));
  return (
    <Page title={t.hubs.createTitle} crumbs={[{ label: t.hubs.title, to: "/hubs" }]}>
      <Wizard
        form={form}
        faults={faults}
        checking={check.checking}
        fieldOf={fieldOf}
        tabs={[
          basics(form, check.free ? t.hubs.free : undefined),
          networking(form),
          management(form, mayAssign, scope),
          { id: "addons", label: t.hubs.addons, fields: [], render: () => <AddOns />, review: [] },
          tagsTab<Values>(form),
        ]}
        plan={() => ({ title: t.hubs.plan(values.name), steps, target: pageOf(id) })}
        az={azLines(values, tags, assign ? { id, principal: account.objectId } : undefined)}
        json={body}
      />
    </Page>
  );
}

function basics(form: Form<Values>, free: string | undefined): WizardTab<Values> {
  const { values, set } = form;
  const preview = values.tier === PREVIEW;
  return basicsTab<Values>({
    form,
    name: t.hubs.name,
    good: free,
    regionHint: t.hubs.regionHint,
    more: {
      fields: ["tier", "namespace", "identity"],
      render: (fault) => (
        <>
          <Tier value={values.tier} onChange={(tier) => set(tier === PREVIEW ? { tier } : { tier, namespace: "" })} />
          <LimitField />
          <NamespaceField
            label={t.hubs.registry}
            required={false}
            value={values.namespace}
            subscription={values.subscription}
            location={values.location}
            none={t.hubs.noRegistry}
            hint={t.hubs.registryHint}
            disabled={!preview}
            fault={fault("namespace")}
            warning={preview ? undefined : t.hubs.onlyPreview}
            onChange={(namespace, location) => set({ namespace, ...(location && !values.location ? { location } : {}) })}
          />
          <IdentityField
            label={t.hubs.identity}
            required={values.namespace !== ""}
            value={values.identity}
            subscription={values.subscription}
            namespace={values.namespace || undefined}
            fault={fault("identity")}
            onChange={(identity) => set({ identity })}
          />
        </>
      ),
      review: [
        [t.hubs.tier, t.hubs.tiers[values.tier] ?? values.tier],
        [t.hubs.limit, t.hubs.noLimit],
        [t.hubs.registry, parseId(values.namespace)?.name ?? t.common.none],
        [t.hubs.identity, parseId(values.identity)?.name ?? t.common.none],
      ],
    },
  });
}

function Tier({ value, onChange }: { value: string; onChange: (tier: string) => void }) {
  const choices = Object.entries(t.hubs.tiers).map(([name, label]) => ({ value: name, label }));
  return <ComparedField label={t.hubs.tier} value={value} choices={choices} onChange={onChange} compare={t.hubs.compare} title={t.hubs.compare} rows={t.hubs.compareText} />;
}

function networking({ values, set }: Form<Values>): WizardTab<Values> {
  return {
    id: "networking",
    label: t.hubs.networking,
    fields: ["tls"],
    render: () => (
      <>
        <Text block id="connectivity" weight="semibold">
          {t.hubs.connectivity}
        </Text>
        <RadioGroup aria-labelledby="connectivity" value="public">
          <Radio value="public" label={t.hubs.publicAccess} />
          <Radio value="private" disabled label={`${t.hubs.privateAccess}. ${t.hubs.privateOff}`} />
        </RadioGroup>
        <ChoiceField label={t.hubs.minTls} required value={values.tls} choices={[{ value: "1.2", label: "1.2" }, { value: "1.3", label: "1.3" }]} hint={t.hubs.notLater} onChange={(tls) => set({ tls })} />
      </>
    ),
    review: [
      [t.hubs.connectivity, t.hubs.publicAccess],
      [t.hubs.minTls, values.tls],
    ],
  };
}

function management({ values, set }: Form<Values>, mayAssign: boolean, scope: string): WizardTab<Values> {
  return {
    id: "management",
    label: t.hubs.management,
    fields: ["partitions"],
    render: (fault) => (
      <>
        <Text block id="permission" weight="semibold">
          {t.hubs.permission}
        </Text>
        <RadioGroup aria-labelledby="permission" value={values.rbacOnly ? "rbac" : "both"} onChange={(_, data) => set({ rbacOnly: data.value === "rbac" })}>
          <Radio value="both" label={t.hubs.both} />
          <Radio value="rbac" label={t.hubs.rbacOnly} />
        </RadioGroup>
        {values.rbacOnly && <Text block>{t.hubs.rbacHint}</Text>}
        <Checkbox label={t.hubs.assignMe} checked={values.assignMe && mayAssign} disabled={!mayAssign} onChange={(_, data) => set({ assignMe: data.checked === true })} />
        <Text block size={200}>
          {mayAssign ? t.hubs.assignMeHint : t.hubs.mayNotAssign(scope)}
        </Text>
        <TextField label={t.hubs.partitions} required type="number" value={values.partitions} hint={t.hubs.notLater} fault={fault("partitions")} onChange={(partitions) => set({ partitions })} />
        <NumberSlider label={t.hubs.partitions} min={1} max={32} value={Number(values.partitions) || 1} onChange={(partitions) => set({ partitions: String(partitions) })} />
      </>
    ),
    review: [
      [t.hubs.permission, values.rbacOnly ? t.hubs.rbacOnly : t.hubs.both],
      [t.hubs.assignMe, values.assignMe && mayAssign ? t.common.yes : t.common.no],
      [t.hubs.partitions, values.partitions],
    ],
  };
}
