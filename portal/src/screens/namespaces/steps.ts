/** Steps that make what certificates come from. */

import { armPath } from "../../api/arm";
import type { StepPlan } from "../../shell/deployments";
import { t } from "../../texts";

/** Gives a namespace its root CA. */
export function credentialStep(namespace: string, location: string): StepPlan {
  return { title: t.namespaces.stepCredential, method: "PUT", path: armPath(`${namespace}/credentials/default`), body: { location, properties: {} } };
}

/** Makes an issuing CA. */
export function policyStep(namespace: string, name: string, days: number, subject: string, location: string): StepPlan {
  const authority = subject ? { keyType: "ECC", subject } : { keyType: "ECC" };
  return {
    title: t.policies.plan(name),
    method: "PUT",
    path: armPath(`${namespace}/credentials/default/policies/${name}`),
    body: { location, properties: { certificate: { certificateAuthorityConfiguration: authority, leafCertificateConfiguration: { validityPeriodInDays: days } } } },
  };
}
