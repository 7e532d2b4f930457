/** The wizard of an identity: a page of its own, and a pane inside other wizards. */

import { armPath } from "../../api/arm";
import { pageOf, resourceId } from "../../api/resourceId";
import { azLine, tagWords } from "../../azLine";
import { useTaken } from "../../frames/checks";
import { useForm } from "../../frames/form";
import { groupSteps, NO_SCOPE, scopeFaults } from "../../frames/ScopeFields";
import { Wizard } from "../../frames/Wizard";
import { basicsTab, tagsTab, type Basics } from "../../frames/WizardTabs";
import { IDENTITY } from "../../resources";
import { groupName, identityName, tagFaults, tagMap, type Tag } from "../../rules";
import { t } from "../../texts";

interface Values extends Basics {
  tags: Tag[];
}

const FIRST: Values = { ...NO_SCOPE, name: "", tags: [] };

export default function IdentityWizard({ inPane }: { inPane?: { onStarted: (deployment: string, id: string) => void; onCancel: () => void } }) {
  const form = useForm(inPane ? "create-identity-inside" : "create-identity", FIRST);
  const { values } = form;
  const id = resourceId(values.subscription, values.group, IDENTITY, values.name);
  const rule = identityName(values.name);
  const ready = !rule && values.subscription !== "" && values.group !== "" && !groupName(values.group) && !values.newGroup;
  const { taken, checking } = useTaken(ready ? id : undefined);
  const faults = { ...scopeFaults(values), name: rule ?? (taken ? t.identities.exists : undefined), tags: [...tagFaults(values.tags).values()][0] };
  const tags = tagMap(values.tags);
  const body = { location: values.location, tags };
  const title = t.identities.plan(values.name);
  return (
    <Wizard
      form={form}
      faults={faults}
      checking={checking}
      inPane={inPane && { onCancel: inPane.onCancel, onStarted: (deployment) => inPane.onStarted(deployment, id) }}
      fieldOf={(target) => (target === "name" || target === "location" ? target : undefined)}
      tabs={[
        basicsTab<Values>({ form }),
        tagsTab<Values>(form),
      ]}
      plan={() => ({ title, steps: [...groupSteps(values), { title, method: "PUT", path: armPath(id), body }], target: pageOf(id) })}
      az={[
        ...(values.newGroup ? [azLine("group create", { name: values.group, location: values.location })] : []),
        azLine("identity create", { "name": values.name, "resource-group": values.group, "location": values.location, "tags": tagWords(tags) }),
      ]}
      json={body}
    />
  );
}
