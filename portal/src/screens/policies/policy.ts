/** What a credential policy says. */

import type { Resource } from "../../api/arm";
import { t } from "../../texts";

interface Certificate {
  certificateAuthorityConfiguration?: { keyType?: string; subject?: string; validityNotBefore?: string; validityNotAfter?: string };
  leafCertificateConfiguration?: { validityPeriodInDays?: number };
}

export function certificateOf(policy: Resource): Certificate {
  return (policy.properties?.["certificate"] as Certificate | undefined) ?? {};
}

export function daysOf(policy: Resource): number | undefined {
  return certificateOf(policy).leafCertificateConfiguration?.validityPeriodInDays;
}

export function subjectOf(policy: Resource): string {
  return certificateOf(policy).certificateAuthorityConfiguration?.subject ?? "";
}

/** From when until when its CA is valid, by day. */
export function intervalOf(policy: Resource): string {
  const authority = certificateOf(policy).certificateAuthorityConfiguration;
  const day = (text: string | undefined) => text?.slice(0, 10) ?? "";
  return authority?.validityNotAfter ? `${day(authority.validityNotBefore)} - ${day(authority.validityNotAfter)}` : "";
}

export function statusOf(policy: Resource): string {
  const state = String(policy.properties?.["provisioningState"] ?? "Succeeded");
  if (state !== "Succeeded") return state;
  return policy.properties?.["enabled"] === false ? t.policies.disabled : t.policies.enabled;
}

/** A key type in words. */
export function keyText(type: string | undefined): string {
  return type === "ECC" || type === undefined ? "ECC P-384" : type.replace(/^ECC-P/, "ECC P-");
}
