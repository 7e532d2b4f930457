import { armPath } from "../../api/arm";
import { pageOf, resourceId } from "../../api/resourceId";
import { azLine, tagWords } from "../../azLine";
import { useForm } from "../../frames/form";
import { Page } from "../../frames/Page";
import { groupSteps, NO_SCOPE, scopeFaults } from "../../frames/ScopeFields";
import { Wizard } from "../../frames/Wizard";
import { basicsTab, tagsTab, type Basics } from "../../frames/WizardTabs";
import { PROVISIONING } from "../../resources";
import { provisioningName, tagFaults, tagMap, type Tag } from "../../rules";
import { t } from "../../texts";
import { useNameFree } from "../common/nameCheck";

interface Values extends Basics {
  tags: Tag[];
}

const FIRST: Values = { ...NO_SCOPE, name: "", tags: [] };

export default function Create() {
  const form = useForm("create-provisioning-service", FIRST);
  const { values } = form;
  const rule = provisioningName(values.name);
  const check = useNameFree(values.subscription, "checkProvisioningServiceNameAvailability", rule ? undefined : values.name);
  const id = resourceId(values.subscription, values.group, PROVISIONING, values.name);
  const tags = tagMap(values.tags);
  const faults = { ...scopeFaults(values), name: rule ?? check.fault, tags: [...tagFaults(values.tags).values()][0] };
  const body = { location: values.location, tags, sku: { name: "S1", capacity: 1 }, properties: {} };
  const title = t.dps.plan(values.name);
  return (
    <Page title={t.dps.createTitle} crumbs={[{ label: t.dps.title, to: "/provisioning-services" }]}>
      <Wizard
        form={form}
        faults={faults}
        checking={check.checking}
        fieldOf={(target) => (target === "name" || target === "location" || target === "tags" ? target : undefined)}
        tabs={[
          basicsTab<Values>({ form, regionHint: t.dps.regionHint, good: check.free ? t.dps.free : undefined }),
          tagsTab<Values>(form),
        ]}
        plan={() => ({ title, steps: [...groupSteps(values), { title, method: "PUT", path: armPath(id), body }], target: pageOf(id) })}
        az={[
          ...(values.newGroup ? [azLine("group create", { name: values.group, location: values.location })] : []),
          azLine("iot dps create", { "name": values.name, "resource-group": values.group, "location": values.location, "tags": tagWords(tags) }),
        ]}
        json={body}
      />
    </Page>
  );
}
