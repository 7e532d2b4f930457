import { useState } from "react";
import { useParams } from "react-router";
import type { Resource } from "../../api/arm";
import { enrollmentPath, type Kind } from "../../api/provisioningData";
import { pageOf, parseId, type ResourceId } from "../../api/resourceId";
import { useForm } from "../../frames/form";
import { useResource } from "../../frames/load";
import { Loaded } from "../../frames/Loaded";
import { Page } from "../../frames/Page";
import { Wizard } from "../../frames/Wizard";
import { NotFound } from "../../shell/NotFound";
import { t } from "../../texts";
import { serviceHost } from "../provisioning/host";
import { azOf, bodyOf, faultsOf, fieldOf, FIRST, MECHANISMS, NOTHING, shownBody, type Unkept } from "./enrollment";
import { enrollmentPage } from "./paths";
import { tabsOf } from "./tabs";
import { useEnrollmentTaken } from "./taken";

export default function New() {
  const params = useParams();
  const kind: Kind = params["kind"] === "individual" ? "individual" : "group";
  const id = parseId("/" + (params["*"] ?? ""));
  const service = useResource(id?.id);
  if (!id) return <NotFound />;
  const title = kind === "group" ? t.enrollments.addGroup : t.enrollments.addIndividual;
  return (
    <Page title={title} crumbs={[{ label: t.dps.title, to: "/provisioning-services" }, { label: id.name, to: pageOf(id.id) }, { label: t.enrollments.title, to: `${pageOf(id.id, "enrollments")}?kind=${kind}` }]}>
      <Loaded of={service}>{(found) => <NewWizard key={`${kind} ${id.id}`} kind={kind} id={id} service={found} />}</Loaded>
    </Page>
  );
}

function NewWizard({ kind, id, service }: { kind: Kind; id: ResourceId; service: Resource }) {
  const first = { ...FIRST, mechanism: MECHANISMS[kind].includes("symmetricKey") ? FIRST.mechanism : "tpm" as const };
  const form = useForm(`create-enrollment-${kind}-${id.id.toLowerCase()}`, first);
  const [unkept, setAll] = useState<Unkept>(NOTHING);
  const { values } = form;
  const host = serviceHost(service);
  const { taken, checking } = useEnrollmentTaken(host, kind, values.name);
  const own = faultsOf(kind, values, unkept, false);
  const faults = { ...own, name: own.name ?? (taken ? t.enrollments.exists : undefined), mechanism: own.files ?? own.primaryKey ?? own.secondaryKey };
  const body = bodyOf(kind, values, unkept);
  const title = t.enrollments.plan(values.name);
  return (
    <Wizard
      form={form}
      faults={faults}
      checking={checking}
      fieldOf={fieldOf}
      tabs={tabsOf({ kind, id, service, form, unkept, setUnkept: (change) => setAll((before) => ({ ...before, ...change })), faults: own, existing: undefined, taken })}
      plan={() => ({
        title,
        steps: [{ title, method: "PUT", path: enrollmentPath(host, kind, values.name), audience: "dps", body, ...(body.attestation.symmetricKey ? { secret: true } : {}) }],
        target: enrollmentPage(id.id, kind, values.name),
      })}
      az={[azOf(kind, id.name, id.group, values, unkept, false)]}
      json={shownBody(body)}
    />
  );
}
