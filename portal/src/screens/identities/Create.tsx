import { Page } from "../../frames/Page";
import { t } from "../../texts";
import IdentityWizard from "./IdentityWizard";

export default function Create() {
  return (
    <Page title={t.identities.createTitle} crumbs={[{ label: t.identities.title, to: "/identities" }]}>
      <IdentityWizard />
    </Page>
  );
}

/** The wizard of an identity: a page of its own, and a pane inside other wizards. */
