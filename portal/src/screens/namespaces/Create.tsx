import { Page } from "../../frames/Page";
import { t } from "../../texts";
import CreateWizard from "./CreateWizard";

export default function Create() {
  return (
    <Page title={t.namespaces.createTitle} crumbs={[{ label: t.namespaces.title, to: "/namespaces" }]}>
      <CreateWizard />
    </Page>
  );
}
