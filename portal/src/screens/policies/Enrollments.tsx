import { useMemo } from "react";
import { queryAll, quote } from "../../api/graphQuery";
import { enrollmentId, queryEnrollments, type Enrollment, type Kind } from "../../api/provisioningData";
import { pageOf, type ResourceId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { PROVISIONING } from "../../resources";
import { t } from "../../texts";
import { mechanismOf } from "../enrollments/mechanism";
import { enrollmentPage } from "../enrollments/paths";

/** Enrollments of a service and kind that are looked through. */
const LOOKED = 1000;
/** Enrollments of one reading: the service's most. */
const PAGE = 100;

interface Service {
  id: string;
  name: string;
  host: string;
}

interface Used {
  service: Service;
  kind: Kind;
  enrollment: Enrollment;
}

const COLUMNS: Column<Used>[] = [
  {
    id: "name",
    label: t.enrollments.name,
    text: (row) => enrollmentId(row.enrollment),
    show: (row) => <AppLink to={enrollmentPage(row.service.id, row.kind, enrollmentId(row.enrollment))}>{enrollmentId(row.enrollment)}</AppLink>,
  },
  { id: "kind", label: t.policies.enrollmentKind, text: (row) => t.policies.enrollmentKinds[row.kind] },
  { id: "service", label: t.policies.service, text: (row) => row.service.name, show: (row) => <AppLink to={pageOf(row.service.id)}>{row.service.name}</AppLink> },
  { id: "attestation", label: t.enrollments.attestation, text: (row) => t.enrollments.mechanisms[mechanismOf(row.enrollment.attestation)] ?? "" },
  { id: "status", label: t.enrollments.status, text: (row) => (row.enrollment.provisioningStatus === "disabled" ? t.enrollments.disabled : t.enrollments.enabled) },
];
const KINDS = [{ id: "kind", label: t.policies.enrollmentKind, choices: Object.values(t.policies.enrollmentKinds).map((label) => ({ value: label, label })), value: (row: Used) => t.policies.enrollmentKinds[row.kind] }];

/** Services that are linked to the namespace. */
async function servicesOf(namespace: string, signal: AbortSignal): Promise<Service[]> {
  const text = `resources | where type =~ ${quote(PROVISIONING)} | where tostring(properties) contains ${quote(`${namespace}"`)} | project id, name, host = tostring(properties.serviceOperationsHostName) | order by name asc`;
  return (await queryAll<Service>(text, signal)).rows;
}

async function ofKind(service: Service, kind: Kind, policy: string, signal: AbortSignal): Promise<Used[]> {
  const found: Used[] = [];
  let after: string | undefined;
  for (let looked = 0; looked < LOOKED; looked += PAGE) {
    const page = await queryEnrollments(service.host, kind, PAGE, after, signal);
    found.push(...page.rows.filter((each) => each.credentialPolicyName?.toLowerCase() === policy.toLowerCase()).map((enrollment) => ({ service, kind, enrollment })));
    after = page.next;
    if (after === undefined) break;
  }
  return found;
}

/** Enrollments whose devices get certificates of a policy. */
export function Enrollments({ namespace, policy }: { namespace: ResourceId; policy: string }) {
  const source = useMemo(
    () =>
      whole(["policy-enrollments", namespace.id.toLowerCase(), policy], async (signal) => {
        const found: Used[] = [];
        for (const service of await servicesOf(namespace.id, signal)) {
          for (const kind of ["group", "individual"] as const) found.push(...(await ofKind(service, kind, policy, signal)));
        }
        return found;
      }),
    [namespace.id, policy],
  );
  return (
    <>
      <p>{t.policies.enrollmentsHint(LOOKED)}</p>
      <List label={t.policies.enrollments} source={source} columns={COLUMNS} facets={KINDS} rowId={(row) => `${row.service.id} ${row.kind} ${enrollmentId(row.enrollment)}`} empty={t.policies.noEnrollments} />
    </>
  );
}
