import { armPath } from "../../api/arm";
import { groupId, pageOf } from "../../api/resourceId";
import { API } from "../../api/versions";
import { azLine, tagWords } from "../../azLine";
import { useTaken } from "../../frames/checks";
import { useForm } from "../../frames/form";
import { Page } from "../../frames/Page";
import { NO_SCOPE, scopeFaults } from "../../frames/ScopeFields";
import { Wizard } from "../../frames/Wizard";
import { basicsTab, tagsTab, type Basics } from "../../frames/WizardTabs";
import { groupName, tagFaults, tagMap, type Tag } from "../../rules";
import { t } from "../../texts";

interface Values extends Basics {
  tags: Tag[];
}

const FIRST: Values = { ...NO_SCOPE, name: "", tags: [] };

export default function Create() {
  const form = useForm("create-group", FIRST);
  const { values } = form;
  const rule = groupName(values.name);
  const id = groupId(values.subscription, values.name);
  const { taken, checking } = useTaken(values.subscription && !rule ? id : undefined);
  const scope = scopeFaults(values);
  const faults = {
    subscription: scope.subscription,
    location: scope.location,
    name: rule ?? (taken ? t.groups.exists : undefined),
    tags: [...tagFaults(values.tags).values()][0],
  };
  const tags = tagMap(values.tags);
  const body = { location: values.location, tags };
  return (
    <Page title={t.groups.createTitle} crumbs={[{ label: t.groups.title, to: "/groups" }]}>
      <Wizard
        form={form}
        faults={faults}
        checking={checking}
        fieldOf={(target) => (target === "name" ? "name" : target === "location" ? "location" : undefined)}
        tabs={[
          basicsTab<Values>({ form, name: t.groups.name, withoutGroup: true }),
          tagsTab<Values>(form),
        ]}
        plan={() => ({
          title: t.groups.plan(values.name),
          steps: [{ title: t.groups.plan(values.name), method: "PUT", path: armPath(id, API.resources), body }],
          target: pageOf(id),
        })}
        az={[azLine("group create", { name: values.name, location: values.location, tags: tagWords(tags) })]}
        json={body}
      />
    </Page>
  );
}
