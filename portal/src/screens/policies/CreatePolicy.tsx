import { Accordion, AccordionHeader, AccordionItem, AccordionPanel } from "@fluentui/react-components";
import { pageOf, type ResourceId } from "../../api/resourceId";
import { azLine } from "../../azLine";
import { useTaken } from "../../frames/checks";
import { TextField } from "../../frames/Fields";
import { useForm } from "../../frames/form";
import { Wizard } from "../../frames/Wizard";
import { policyName, validityDays } from "../../rules";
import { t } from "../../texts";
import { policyStep } from "../namespaces/steps";

const FIRST = { name: "", days: "30", subject: "" };

/** The pane that makes a policy. */
export default function CreatePolicy({ namespace, location, onDone }: { namespace: ResourceId; location: string; onDone: () => void }) {
  const form = useForm(`create-policy-${namespace.id.toLowerCase()}`, FIRST);
  const { values, set } = form;
  const rule = policyName(values.name);
  const id = `${namespace.id}/credentials/default/policies/${values.name}`;
  const { taken, checking } = useTaken(rule ? undefined : id);
  const faults = { name: rule ?? (taken ? t.policies.exists : undefined), days: validityDays(values.days) };
  const step = policyStep(namespace.id, values.name, Number(values.days), values.subject, location);
  return (
    <Wizard
      form={form}
      faults={faults}
      checking={checking}
      reviewLabel={t.wizard.review}
      inPane={{ onStarted: onDone, onCancel: () => (form.clear(), onDone()) }}
      fieldOf={(target) => (target === "name" ? "name" : target.endsWith("validityPeriodInDays") ? "days" : target.endsWith("subject") ? "subject" : undefined)}
      tabs={[
        {
          id: "basics",
          label: t.wizard.basics,
          fields: ["name", "days", "subject"],
          render: (fault) => (
            <>
              <TextField label={t.columns.name} required value={values.name} fault={fault("name")} hint={t.policies.nameHint} onChange={(name) => set({ name })} />
              <TextField label={t.policies.days} required type="number" value={values.days} fault={fault("days")} onChange={(days) => set({ days })} />
              <Accordion collapsible>
                <AccordionItem value="advanced">
                  <AccordionHeader>{t.policies.advanced}</AccordionHeader>
                  <AccordionPanel>
                    <TextField label={t.policies.subject} value={values.subject} fault={fault("subject")} hint={t.policies.subjectHint} onChange={(subject) => set({ subject })} />
                  </AccordionPanel>
                </AccordionItem>
              </Accordion>
            </>
          ),
          review: [
            [t.columns.name, values.name],
            [t.policies.days, values.days],
            [t.policies.subject, values.subject || t.policies.subjectDefault],
          ],
        },
      ]}
      plan={() => ({ title: t.policies.plan(values.name), steps: [step], target: pageOf(id) })}
      az={[
        azLine("iot adr ns policy create", {
          "name": values.name,
          "namespace": namespace.name,
          "resource-group": namespace.group,
          "cert-validity-days": values.days,
          "cert-subject": values.subject || undefined,
        }),
      ]}
      json={step.body}
    />
  );
}
