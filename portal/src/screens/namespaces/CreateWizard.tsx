/** The wizard of a namespace: a page of its own, and a pane inside other wizards. */

import { Checkbox } from "@fluentui/react-components";
import { armPath } from "../../api/arm";
import { pageOf, resourceId } from "../../api/resourceId";
import { azLine, tagWords } from "../../azLine";
import { useTaken } from "../../frames/checks";
import { SwitchField } from "../../frames/Fields";
import { useForm } from "../../frames/form";
import { groupSteps, NO_SCOPE, scopeFaults } from "../../frames/ScopeFields";
import { Wizard } from "../../frames/Wizard";
import { basicsTab, tagsTab, type Basics } from "../../frames/WizardTabs";
import { NAMESPACE } from "../../resources";
import { groupName, namespaceName, tagFaults, tagMap, type Tag } from "../../rules";
import type { StepPlan } from "../../shell/deployments";
import { t } from "../../texts";
import { credentialStep, policyStep } from "./steps";

interface Values extends Basics {
  identity: boolean;
  credential: boolean;
  policy: boolean;
  tags: Tag[];
}

const FIRST: Values = { ...NO_SCOPE, name: "", identity: true, credential: true, policy: true, tags: [] };

/** Name and validity of the policy that comes with a namespace. */
const DEFAULT_POLICY = "default";
const DEFAULT_DAYS = 30;

export default function CreateWizard({ inPane }: { inPane?: { onStarted: (deployment: string, id: string) => void; onCancel: () => void } }) {
  const form = useForm(inPane ? "create-namespace-inside" : "create-namespace", FIRST);
  const { values, set } = form;
  const id = resourceId(values.subscription, values.group, NAMESPACE, values.name);
  const rule = namespaceName(values.name);
  const ready = !rule && values.subscription !== "" && values.group !== "" && !groupName(values.group) && !values.newGroup;
  const { taken, checking } = useTaken(ready ? id : undefined);
  const faults = { ...scopeFaults(values), name: rule ?? (taken ? t.namespaces.exists : undefined), tags: [...tagFaults(values.tags).values()][0] };
  const tags = tagMap(values.tags);
  const steps = stepsOf(values, id, tags);
  return (
    <Wizard
      form={form}
      faults={faults}
      checking={checking}
      fieldOf={fieldOf}
      inPane={inPane && { onCancel: inPane.onCancel, onStarted: (deployment) => inPane.onStarted(deployment, id) }}
      tabs={[
        basicsTab<Values>({ form, regionHint: t.namespaces.regionHint, good: !faults.name && !checking && ready ? t.namespaces.free : undefined }),
        {
          id: "identity",
          label: t.namespaces.identityTab,
          fields: ["identity", "credential", "policy"],
          render: () => (
            <>
              <SwitchField label={t.namespaces.systemIdentity} value={values.identity} warning={values.identity ? undefined : t.namespaces.noIdentity} onChange={(identity) => set({ identity })} />
              <SwitchField label={t.namespaces.enableCredential} value={values.credential} warning={values.credential ? undefined : t.namespaces.noCredential} onChange={(credential) => set({ credential })} />
              <Checkbox label={t.namespaces.defaultPolicy} checked={values.credential && values.policy} disabled={!values.credential} onChange={(_, data) => set({ policy: data.checked === true })} />
            </>
          ),
          review: [
            [t.namespaces.systemIdentity, values.identity ? t.common.yes : t.common.no],
            [t.namespaces.enableCredential, values.credential ? t.common.yes : t.common.no],
            [t.namespaces.defaultPolicy, values.credential && values.policy ? t.common.yes : t.common.no],
          ],
        },
        tagsTab<Values>(form),
      ]}
      plan={() => ({ title: t.namespaces.plan(values.name), steps, target: pageOf(id) })}
      az={azLines(values, tags)}
      json={steps.map((step) => ({ method: step.method, path: step.path, body: step.body }))}
    />
  );
}

function stepsOf(values: Values, id: string, tags: Record<string, string>): StepPlan[] {
  const steps: StepPlan[] = [
    ...groupSteps(values),
    {
      title: t.namespaces.stepNamespace(values.name),
      method: "PUT",
      path: armPath(id),
      body: { location: values.location, tags, identity: { type: values.identity ? "SystemAssigned" : "None" }, properties: {} },
    },
  ];
  if (values.credential) steps.push(credentialStep(id, values.location));
  if (values.credential && values.policy) steps.push(policyStep(id, DEFAULT_POLICY, DEFAULT_DAYS, "", values.location));
  return steps;
}

function azLines(values: Values, tags: Record<string, string>): string[] {
  const scope = { "name": values.name, "resource-group": values.group };
  const lines = [];
  if (values.newGroup) lines.push(azLine("group create", { name: values.group, location: values.location }));
  const both = values.credential && values.policy;
  lines.push(
    azLine("iot adr ns create", { ...scope, "location": values.location, "tags": tagWords(tags), "enable-certificate-management": both, "policy-name": both ? DEFAULT_POLICY : undefined }),
  );
  if (values.credential && !values.policy) {
    lines.push(azLine("iot adr ns credential create", { "namespace": values.name, "resource-group": values.group }));
  }
  if (!values.identity) lines.push(azLine("iot adr ns identity remove", { ...scope, system: true }));
  return lines;
}

function fieldOf(target: string): keyof Values | undefined {
  if (target === "name" || target === "location" || target === "tags") return target;
  return target.startsWith("identity") ? "identity" : undefined;
}
