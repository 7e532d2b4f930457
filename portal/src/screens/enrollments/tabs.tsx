/** The tabs of an enrollment, new or there. */

import { Button, Checkbox, Field, Text } from "@fluentui/react-components";
import { useState } from "react";
import type { Resource } from "../../api/arm";
import type { Enrollment, Kind } from "../../api/provisioningData";
import type { ResourceId } from "../../api/resourceId";
import { Failure } from "../../frames/Failure";
import { ChoiceField, SwitchField, TextField } from "../../frames/Fields";
import type { Form } from "../../frames/form";
import { namedFinder } from "../../frames/resourceFinders";
import { later, soon } from "../../frames/later";
import { useResources } from "../../frames/load";
import type { WizardTab } from "../../frames/Wizard";
import { t } from "../../texts";
import { useStandings } from "../namespaces/facts";
import { daysOf } from "../policies/policy";
import type { LinkHubProps } from "../provisioning/LinkHubPane";
import type { NamespacePaneProps } from "../provisioning/NamespacePane";
import { linkedHubs, namespaceLink } from "../provisioning/service";
import { MECHANISMS, type EnrollmentFaults, type Mechanism, type Unkept, type Values } from "./enrollment";

const LinkHubPane = later<LinkHubProps>(() => import("../provisioning/LinkHubPane"));
const NamespacePane = later<NamespacePaneProps>(() => import("../provisioning/NamespacePane"));

export interface TabsProps {
  kind: Kind;
  id: ResourceId;
  service: Resource;
  form: Form<Values>;
  unkept: Unkept;
  setUnkept: (change: Partial<Unkept>) => void;
  faults: EnrollmentFaults;
  existing: Enrollment | undefined;
  taken: boolean;
}

const JsonField = soon(() => import("../../frames/JsonField"));
const CertificateField = soon(async () => ({ default: (await import("../../frames/CertificateField")).CertificateField }));

export function tabsOf(props: TabsProps): WizardTab<Values>[] {
  const { values } = props.form;
  const yes = (value: boolean) => (value ? t.common.yes : t.common.no);
  const device: [string, string][] = props.kind === "individual" ? [[t.enrollments.deviceId, values.deviceId || values.name]] : [];
  return [
    {
      id: "registration",
      label: t.enrollments.tabRegistration,
      fields: ["name", "mechanism", "primaryCa", "endorsementKey"],
      render: (fault) => <Registration {...props} fault={fault} />,
      review: [
        [t.enrollments.mechanism, t.enrollments.mechanisms[values.mechanism] ?? ""],
        [props.kind === "group" ? t.enrollments.groupName : t.enrollments.registrationId, values.name],
        [t.enrollments.provisioningStatus, yes(values.enabled)],
        [t.enrollments.reprovision, t.enrollments.reprovisions[values.reprovision] ?? ""],
      ],
    },
    {
      id: "hubs",
      label: t.enrollments.tabHubs,
      fields: ["hubs", "allocation", "webhookUrl"],
      render: (fault) => <Hubs {...props} fault={fault} />,
      review: [
        [t.enrollments.targetHubs, values.hubs.join(", ") || t.enrollments.allHubs],
        [t.enrollments.allocationPolicy, values.allocation ? (t.enrollments.allocations[values.allocation] ?? values.allocation) : t.enrollments.serviceAllocation],
      ],
    },
    {
      id: "device",
      label: t.enrollments.tabDevice,
      fields: ["deviceId", "tags", "desired"],
      render: (fault) => <DeviceSettings {...props} fault={fault} />,
      review: [...device, [t.enrollments.edge, yes(values.edge)], [t.enrollments.tags, values.tags], [t.enrollments.desired, values.desired]],
    },
    {
      id: "policy",
      label: t.enrollments.tabPolicy,
      fields: ["policy"],
      render: (fault) => <PolicyTab {...props} fault={fault} />,
      review: [[t.enrollments.policyLabel, values.policy || t.enrollments.policyNone]],
    },
  ];
}

type TabProps = TabsProps & { fault: (field: keyof Values) => string | undefined };

function Registration(props: TabProps) {
  const { kind, form, fault, existing } = props;
  const { values, set } = form;
  return (
    <>
      <ChoiceField
        label={t.enrollments.mechanism}
        required
        value={values.mechanism}
        disabled={existing !== undefined}
        hint={existing ? t.enrollments.fixedMechanism : undefined}
        fault={fault("mechanism")}
        choices={MECHANISMS[kind].map((mechanism) => ({ value: mechanism, label: t.enrollments.mechanisms[mechanism] ?? mechanism }))}
        onChange={(mechanism) => set({ mechanism: mechanism as Mechanism })}
      />
      <Credentials {...props} />
      <TextField
        label={kind === "group" ? t.enrollments.groupName : t.enrollments.registrationId}
        required
        disabled={existing !== undefined}
        value={values.name}
        fault={fault("name") ?? (props.taken ? t.enrollments.exists : undefined)}
        onChange={(name) => set({ name })}
      />
      <SwitchField label={t.enrollments.provisioningStatus} value={values.enabled} onChange={(enabled) => set({ enabled })} />
      <ChoiceField
        label={t.enrollments.reprovision}
        value={values.reprovision}
        choices={Object.entries(t.enrollments.reprovisions).map(([value, label]) => ({ value, label }))}
        onChange={(reprovision) => set({ reprovision: reprovision as Values["reprovision"] })}
      />
    </>
  );
}

/** What the mechanism asks for. */
function Credentials({ id, form, unkept, setUnkept, faults, existing, fault }: TabProps) {
  const { values, set } = form;
  const { mechanism } = values;
  const certificates = useResources(mechanism === "ca" ? `${id.id}/certificates` : undefined);
  if (mechanism === "x509" || mechanism === "client") {
    const former = existing?.attestation.x509?.[mechanism === "x509" ? "signingCertificates" : "clientCertificates"];
    const kept = (side: "primary" | "secondary") => (former?.[side]?.info?.subjectName ? { hint: t.enrollments.kept(former[side]?.info?.subjectName ?? "") } : {});
    return (
      <fieldset>
        <legend>{t.enrollments.x509Settings}</legend>
        <CertificateField label={t.enrollments.primaryFile} ca={mechanism === "x509"} value={unkept.primary} {...kept("primary")} fault={form.touched("mechanism") ? faults.files : undefined} onChange={(primary) => setUnkept({ primary })} />
        <CertificateField label={t.enrollments.secondaryFile} ca={mechanism === "x509"} value={unkept.secondary} {...kept("secondary")} onChange={(secondary) => setUnkept({ secondary })} />
      </fieldset>
    );
  }
  if (mechanism === "ca") {
    const finder = namedFinder(`${id.id}/certificates`, (row) => ({ value: row.name, label: row.name, off: row.properties?.["isVerified"] === true ? undefined : t.enrollments.unverified }));
    const choices = (certificates.data?.rows ?? []).filter((row) => row.properties?.["isVerified"] === true).map((row) => ({ value: row.name, label: row.name }));
    return (
      <fieldset>
        <legend>{t.enrollments.x509Settings}</legend>
        <ChoiceField label={t.enrollments.primaryCa} value={values.primaryCa} choices={[{ value: "", label: t.common.none }, ...choices]} of={certificates} finder={finder} fault={fault("primaryCa")} onChange={(primaryCa) => set({ primaryCa })} />
        <ChoiceField label={t.enrollments.secondaryCa} value={values.secondaryCa} choices={[{ value: "", label: t.common.none }, ...choices]} of={certificates} finder={finder} onChange={(secondaryCa) => set({ secondaryCa })} />
      </fieldset>
    );
  }
  if (mechanism === "tpm") {
    return (
      <>
        <TextField label={t.enrollments.endorsement} required value={values.endorsementKey} fault={fault("endorsementKey")} onChange={(endorsementKey) => set({ endorsementKey })} />
        <TextField label={t.enrollments.storageRoot} value={values.storageRootKey} onChange={(storageRootKey) => set({ storageRootKey })} />
      </>
    );
  }
  if (existing) return null;
  return (
    <fieldset>
      <legend>{t.enrollments.keySettings}</legend>
      <SwitchField label={t.enrollments.autoKeys} value={values.autoKeys} hint={t.enrollments.keysHint} onChange={(autoKeys) => set({ autoKeys })} />
      {!values.autoKeys && (
        <>
          <TextField label={t.enrollments.primaryKey} required type="password" value={unkept.primaryKey} fault={unkept.primaryKey || form.touched("mechanism") ? faults.primaryKey : undefined} onChange={(primaryKey) => setUnkept({ primaryKey })} />
          <TextField label={t.enrollments.secondaryKey} required type="password" value={unkept.secondaryKey} fault={unkept.secondaryKey || form.touched("mechanism") ? faults.secondaryKey : undefined} onChange={(secondaryKey) => setUnkept({ secondaryKey })} />
        </>
      )}
    </fieldset>
  );
}

function Hubs({ id, service, form, fault }: TabProps) {
  const { values, set } = form;
  const [linking, setLinking] = useState(false);
  const hubs = linkedHubs(service).map((link) => link.name);
  const all = [...hubs, ...values.hubs.filter((host) => !hubs.includes(host))];
  const mark = (host: string, checked: boolean) => {
    const next = checked ? [...values.hubs, host] : values.hubs.filter((each) => each !== host);
    // Hubs that are chosen want a policy that chooses among them.
    set({ hubs: next, ...(next.length > 0 && values.allocation === "" ? { allocation: "hashed" } : {}) });
  };
  return (
    <>
      <Field label={t.enrollments.targetHubs} hint={t.enrollments.hubsHint} {...(fault("hubs") ? { validationState: "error" as const, validationMessage: fault("hubs") ?? "" } : {})}>
        <div role="group" aria-label={t.enrollments.targetHubs}>
          {all.map((host) => (
            <div key={host}>
              <Checkbox label={host} checked={values.hubs.includes(host)} onChange={(_, data) => mark(host, data.checked === true)} />
            </div>
          ))}
          {all.length === 0 && <Text>{t.enrollments.noHubs}</Text>}
        </div>
      </Field>
      <Button size="small" onClick={() => setLinking(true)}>
        {t.enrollments.linkHub}
      </Button>
      <ChoiceField
        label={t.enrollments.allocationPolicy}
        value={values.allocation}
        choices={[{ value: "", label: t.enrollments.serviceAllocation }, ...Object.entries(t.enrollments.allocations).map(([value, label]) => ({ value, label }))]}
        fault={fault("allocation")}
        onChange={(allocation) => set({ allocation })}
      />
      {values.allocation === "custom" && (
        <>
          <TextField label={t.enrollments.webhook} required value={values.webhookUrl} fault={fault("webhookUrl")} onChange={(webhookUrl) => set({ webhookUrl })} />
          <TextField label={t.enrollments.webhookVersion} required value={values.webhookVersion} onChange={(webhookVersion) => set({ webhookVersion })} />
        </>
      )}
      <LinkHubPane id={id} resource={service} open={linking} onClose={() => setLinking(false)} />
    </>
  );
}

function DeviceSettings({ kind, form, fault }: TabProps) {
  const { values, set } = form;
  return (
    <>
      {kind === "individual" && <TextField label={t.enrollments.deviceId} value={values.deviceId} hint={t.enrollments.deviceIdHint} fault={fault("deviceId")} onChange={(deviceId) => set({ deviceId })} />}
      <SwitchField label={t.enrollments.edge} value={values.edge} onChange={(edge) => set({ edge })} />
      <JsonField label={t.enrollments.tags} value={values.tags} fault={fault("tags")} onChange={(tags) => set({ tags })} />
      <JsonField label={t.enrollments.desired} value={values.desired} fault={fault("desired")} onChange={(desired) => set({ desired })} />
    </>
  );
}

function PolicyTab({ id, service, form, fault }: TabProps) {
  const namespace = namespaceLink(service).resourceId;
  const [linking, setLinking] = useState(false);
  if (!namespace) {
    return (
      <>
        <Text block>{t.enrollments.noNamespace}</Text>
        <Button onClick={() => setLinking(true)}>{t.enrollments.linkNamespace}</Button>
        <NamespacePane id={id} resource={service} open={linking} onClose={() => setLinking(false)} />
      </>
    );
  }
  return <Policies namespace={namespace} service={service} form={form} fault={fault("policy")} />;
}

/** Policies of the namespace, and where the chosen one is not yet. */
function Policies({ namespace, service, form, fault }: { namespace: string; service: Resource; form: Form<Values>; fault: string | undefined }) {
  const { values, set } = form;
  const policies = useResources(`${namespace}/credentials/default/policies`);
  const standings = useStandings(namespace);
  const hosts = linkedHubs(service).map((link) => link.name.split(".")[0]?.toLowerCase());
  const behind = (standings.data ?? []).filter((each) => each.policy.toLowerCase() === values.policy.toLowerCase() && each.state !== "Synchronized" && hosts.includes(each.hub.toLowerCase())).map((each) => each.hub);
  const choiceOf = (row: Resource) => ({ value: row.name, label: t.enrollments.policyDays(row.name, daysOf(row)) });
  const known = (policies.data?.rows ?? []).map(choiceOf);
  const extra = values.policy && !known.some((each) => each.value === values.policy) ? [{ value: values.policy, label: values.policy }] : [];
  return (
    <>
      <ChoiceField
        label={t.enrollments.policyLabel}
        value={values.policy}
        choices={[{ value: "", label: t.enrollments.policyNone }, ...extra, ...known]}
        of={policies}
        finder={namedFinder(`${namespace}/credentials/default/policies`, choiceOf)}
        fault={fault}
        warning={behind.length > 0 ? t.enrollments.policyBehind(behind) : undefined}
        onChange={(policy) => set({ policy })}
      />
      {standings.error && <Failure fault={standings.error} retry={() => void standings.refetch()} />}
      {policies.data?.rows.length === 0 && <Text>{t.enrollments.noPolicies}</Text>}
    </>
  );
}
