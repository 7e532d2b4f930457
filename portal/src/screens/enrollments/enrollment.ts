/** What the form of an enrollment holds, what is wrong with it, and the document that it makes. */

import type { Attestation, Enrollment, Given, Kind } from "../../api/provisioningData";
import { azLine } from "../../azLine";
import type { CertificateFile } from "../../certificateFile";
import { deviceId, enrollmentName, symmetricKey } from "../../rules";
import { t } from "../../texts";
import { readPart, rebased } from "../../twinRules";
import { mechanismOf, type Mechanism } from "./mechanism";

export type { Mechanism };
export type Reprovision = "migrate" | "reset" | "never";

export interface Values {
  name: string;
  mechanism: Mechanism;
  enabled: boolean;
  reprovision: Reprovision;
  autoKeys: boolean;
  primaryCa: string;
  secondaryCa: string;
  endorsementKey: string;
  storageRootKey: string;
  /** Host names; none stands for all that are linked. */
  hubs: string[];
  allocation: string;
  webhookUrl: string;
  webhookVersion: string;
  deviceId: string;
  edge: boolean;
  tags: string;
  desired: string;
  policy: string;
  /** ETag of the reading that is edited. */
  etag: string;
  /** The values of that reading, by which is told what was changed. */
  before?: Values;
}

/** What is never kept in the window's storage. */
export interface Unkept {
  primaryKey: string;
  secondaryKey: string;
  primary: CertificateFile | undefined;
  secondary: CertificateFile | undefined;
}

export const NOTHING: Unkept = { primaryKey: "", secondaryKey: "", primary: undefined, secondary: undefined };

export const FIRST: Values = {
  name: "",
  mechanism: "symmetricKey",
  enabled: true,
  reprovision: "migrate",
  autoKeys: true,
  primaryCa: "",
  secondaryCa: "",
  endorsementKey: "",
  storageRootKey: "",
  hubs: [],
  allocation: "",
  webhookUrl: "",
  webhookVersion: "2021-10-01",
  deviceId: "",
  edge: false,
  tags: "{}",
  desired: "{}",
  policy: "",
  etag: "",
};

/** The mechanisms of a kind, as the walks list them. */
export const MECHANISMS: Record<Kind, Mechanism[]> = { group: ["x509", "ca", "symmetricKey"], individual: ["client", "ca", "symmetricKey", "tpm"] };

const REPROVISION: Record<Reprovision, { updateHubAssignment: boolean; migrateDeviceData: boolean }> = {
  migrate: { updateHubAssignment: true, migrateDeviceData: true },
  reset: { updateHubAssignment: true, migrateDeviceData: false },
  never: { updateHubAssignment: false, migrateDeviceData: false },
};

/** The form of an enrollment that is there. */
export function valuesOf(kind: Kind, enrollment: Enrollment): Values {
  const { x509, tpm } = enrollment.attestation;
  const policy = enrollment.reprovisionPolicy;
  return {
    ...FIRST,
    name: (kind === "group" ? enrollment.enrollmentGroupId : enrollment.registrationId) ?? "",
    mechanism: mechanismOf(enrollment.attestation),
    enabled: enrollment.provisioningStatus !== "disabled",
    reprovision: policy?.updateHubAssignment === false ? "never" : policy?.migrateDeviceData === false ? "reset" : "migrate",
    primaryCa: x509?.caReferences?.primary ?? "",
    secondaryCa: x509?.caReferences?.secondary ?? "",
    endorsementKey: tpm?.endorsementKey ?? "",
    storageRootKey: tpm?.storageRootKey ?? "",
    hubs: enrollment.iotHubs ?? [],
    allocation: enrollment.allocationPolicy ?? "",
    webhookUrl: enrollment.customAllocationDefinition?.webhookUrl ?? "",
    webhookVersion: enrollment.customAllocationDefinition?.apiVersion ?? FIRST.webhookVersion,
    deviceId: enrollment.deviceId ?? "",
    edge: enrollment.capabilities?.iotEdge === true,
    tags: JSON.stringify(enrollment.initialTwin?.tags ?? {}, null, 2),
    desired: JSON.stringify(enrollment.initialTwin?.properties?.desired ?? {}, null, 2),
    policy: enrollment.credentialPolicyName ?? "",
    etag: enrollment.etag ?? "",
  };
}

/** The form of an enrollment that is edited. */
export function editedOf(kind: Kind, enrollment: Enrollment): Values {
  const values = valuesOf(kind, enrollment);
  return { ...values, before: values };
}

const TWIN_PARTS = [
  ["tags", "tags"],
  ["desired", "properties.desired"],
] as const;

/** What was changed in the form, on top of what somebody else made of the enrollment: fields that were left alone are theirs. */
export function rebasedOnto(mine: Values, theirs: Values): Values {
  const { before } = mine;
  if (!before) return { ...mine, etag: theirs.etag };
  const same = (name: keyof Values) => JSON.stringify(mine[name]) === JSON.stringify(before[name]);
  const untouched = (Object.keys(theirs) as (keyof Values)[]).filter(same).map((name) => [name, theirs[name]]);
  const merged: Values = { ...mine, ...(Object.fromEntries(untouched) as Partial<Values>), etag: theirs.etag };
  for (const [name, part] of TWIN_PARTS) {
    const read = (values: Values) => readPart(part, values[name]).value ?? {};
    merged[name] = JSON.stringify(rebased(read(before), read(mine), read(theirs)), null, 2);
  }
  return merged;
}

/** The form after a write of `sent` that made the enrollment `now`: what was typed since stays as it stands, half a JSON included. */
export function afterWrite(typed: Values, sent: Values, now: Values): Values {
  const merged = rebasedOnto({ ...typed, before: sent }, now);
  for (const [name, part] of TWIN_PARTS) {
    const meant = readPart(part, typed[name]).value;
    const same = JSON.stringify(meant) === JSON.stringify(readPart(part, merged[name]).value);
    if (!meant || same) merged[name] = typed[name];
  }
  return { ...merged, before: now };
}

/** Of keys and files what was chosen since `sent` went out. */
export function unsentOf(now: Unkept, sent: Unkept): Unkept {
  return {
    primaryKey: now.primaryKey === sent.primaryKey ? "" : now.primaryKey,
    secondaryKey: now.secondaryKey === sent.secondaryKey ? "" : now.secondaryKey,
    primary: now.primary === sent.primary ? undefined : now.primary,
    secondary: now.secondary === sent.secondary ? undefined : now.secondary,
  };
}

export type EnrollmentFaults = Partial<Record<keyof Values | "files" | "primaryKey" | "secondaryKey", string | undefined>>;

/** What is wrong with the form; of an enrollment that is there certificates and keys may be left as they are. */
export function faultsOf(kind: Kind, values: Values, unkept: Unkept, existing: boolean): EnrollmentFaults {
  const own = values.mechanism === "symmetricKey" && !values.autoKeys && !existing;
  const files = (values.mechanism === "x509" || values.mechanism === "client") && !existing && !unkept.primary && !unkept.secondary;
  return {
    name: enrollmentName(values.name),
    files: files ? t.enrollments.oneFile : undefined,
    primaryKey: own ? symmetricKey("primaryKey", unkept.primaryKey) : undefined,
    secondaryKey: own ? symmetricKey("secondaryKey", unkept.secondaryKey) : undefined,
    primaryCa: values.mechanism === "ca" && !values.primaryCa && !values.secondaryCa ? t.enrollments.oneCa : undefined,
    endorsementKey: values.mechanism === "tpm" && !values.endorsementKey.trim() ? t.enrollments.endorsementNeeded : undefined,
    hubs: values.allocation === "static" && values.hubs.length !== 1 ? t.enrollments.staticOne : undefined,
    allocation: values.hubs.length > 0 && !values.allocation ? t.enrollments.allocationNeeded : undefined,
    webhookUrl: values.allocation === "custom" && !values.webhookUrl ? t.enrollments.webhookNeeded : undefined,
    deviceId: kind === "individual" && values.deviceId ? deviceId(values.deviceId) : undefined,
    tags: readPart("tags", values.tags).fault,
    desired: readPart("properties.desired", values.desired).fault,
  };
}

/** The document of the form; what it does not show of `existing` stays. */
export function bodyOf(kind: Kind, values: Values, unkept: Unkept, existing?: Enrollment): Enrollment {
  const { registrationState: _state, etag: _etag, createdDateTimeUtc: _created, lastUpdatedDateTimeUtc: _updated, ...kept } = existing ?? {};
  const custom = values.allocation === "custom";
  const body: Enrollment = {
    ...kept,
    attestation: attestationOf(values, unkept, existing?.attestation),
    capabilities: { iotEdge: values.edge },
    initialTwin: { tags: readPart("tags", values.tags).value ?? {}, properties: { desired: readPart("properties.desired", values.desired).value ?? {} } },
    provisioningStatus: values.enabled ? "enabled" : "disabled",
    reprovisionPolicy: REPROVISION[values.reprovision],
  };
  const name = values.name;
  if (kind === "group") body.enrollmentGroupId = name;
  else body.registrationId = name;
  put(body, "deviceId", kind === "individual" ? values.deviceId || undefined : undefined);
  put(body, "iotHubs", values.hubs.length > 0 ? values.hubs : undefined);
  put(body, "allocationPolicy", (values.allocation || undefined) as Enrollment["allocationPolicy"]);
  put(body, "customAllocationDefinition", custom ? { webhookUrl: values.webhookUrl, apiVersion: values.webhookVersion } : undefined);
  put(body, "credentialPolicyName", values.policy || undefined);
  return body;
}

function put<K extends keyof Enrollment>(body: Enrollment, name: K, value: Enrollment[K] | undefined): void {
  if (value === undefined) delete body[name];
  else body[name] = value;
}

function attestationOf(values: Values, unkept: Unkept, existing: Attestation | undefined): Attestation {
  const side = (file: CertificateFile | undefined, former: Given | null | undefined): Given | undefined => (file ? { certificate: file.base64 } : (former ?? undefined));
  if (values.mechanism === "symmetricKey") {
    const keys = { primaryKey: unkept.primaryKey, secondaryKey: unkept.secondaryKey };
    return values.autoKeys || existing ? { type: "symmetricKey" } : { type: "symmetricKey", symmetricKey: keys };
  }
  if (values.mechanism === "tpm") {
    return { type: "tpm", tpm: { endorsementKey: values.endorsementKey.trim(), ...(values.storageRootKey.trim() ? { storageRootKey: values.storageRootKey.trim() } : {}) } };
  }
  if (values.mechanism === "ca") {
    return { type: "x509", x509: { caReferences: { ...(values.primaryCa ? { primary: values.primaryCa } : {}), ...(values.secondaryCa ? { secondary: values.secondaryCa } : {}) } } };
  }
  const form = values.mechanism === "x509" ? "signingCertificates" : "clientCertificates";
  const former = existing?.x509?.[form];
  const primary = side(unkept.primary, former?.primary);
  const secondary = side(unkept.secondary, former?.secondary);
  return { type: "x509", x509: { [form]: { ...(primary ? { primary } : {}), ...(secondary ? { secondary } : {}) } } };
}

/** The document as it may be shown: without keys. */
export function shownBody(body: Enrollment): Enrollment {
  if (!body.attestation.symmetricKey) return body;
  return { ...body, attestation: { ...body.attestation, symmetricKey: { primaryKey: "***", secondaryKey: "***" } } };
}

const REPROVISION_WORDS: Record<Reprovision, string> = { migrate: "reprovisionandmigratedata", reset: "reprovisionandresetdata", never: "never" };

/** The line of `az` that does the same; keys and files are for whoever runs it to put in. */
export function azOf(kind: Kind, service: string, group: string | undefined, values: Values, unkept: Unkept, existing: boolean): string {
  const verb = existing ? "update" : "create";
  const own = values.mechanism === "symmetricKey" && !values.autoKeys && !existing;
  const json = (text: string) => (text.trim() === "{}" || text.trim() === "" ? undefined : text.replace(/\s*\n\s*/g, " "));
  const type = { symmetricKey: "symmetricKey", x509: "x509", client: "x509", ca: "x509", tpm: "tpm" }[values.mechanism];
  return azLine(`iot dps ${kind === "group" ? "enrollment-group" : "enrollment"} ${verb}`, {
    "dps-name": service,
    "resource-group": group,
    "enrollment-id": values.name,
    "attestation-type": kind === "individual" && !existing ? type : undefined,
    "certificate-path": unkept.primary ? "primary.pem" : undefined,
    "secondary-certificate-path": unkept.secondary ? "secondary.pem" : undefined,
    "root-ca-name": values.mechanism === "ca" ? values.primaryCa || undefined : undefined,
    "secondary-root-ca-name": values.mechanism === "ca" ? values.secondaryCa || undefined : undefined,
    "endorsement-key": values.mechanism === "tpm" ? values.endorsementKey : undefined,
    "primary-key": own ? "<key>" : undefined,
    "secondary-key": own ? "<key>" : undefined,
    "device-id": kind === "individual" ? values.deviceId || undefined : undefined,
    "provisioning-status": values.enabled ? "enabled" : "disabled",
    "reprovision-policy": REPROVISION_WORDS[values.reprovision],
    "allocation-policy": values.allocation || undefined,
    "iot-hubs": values.hubs.length > 0 ? values.hubs : undefined,
    "webhook-url": values.allocation === "custom" ? values.webhookUrl : undefined,
    "edge-enabled": values.edge ? "true" : undefined,
    "initial-twin-tags": json(values.tags),
    "initial-twin-properties": json(values.desired),
    "credential-policy-name": values.policy || undefined,
  });
}

/** The field of the form that a refusal's member is about. */
export function fieldOf(target: string): keyof Values | undefined {
  if (/^attestation\.x509\.caReferences/.test(target)) return "primaryCa";
  if (/^attestation\.tpm/.test(target)) return "endorsementKey";
  if (/^(?:attestation|primaryKey|secondaryKey)/.test(target)) return "mechanism";
  if (/^(?:initialTwin\.tags|tags)/.test(target)) return "tags";
  if (/^(?:initialTwin|properties)/.test(target)) return "desired";
  if (/^iotHub/.test(target)) return "hubs";
  if (target.startsWith("allocationPolicy")) return "allocation";
  if (target.startsWith("customAllocationDefinition")) return "webhookUrl";
  if (target.startsWith("credentialPolicyName")) return "policy";
  if (target.startsWith("deviceId")) return "deviceId";
  if (/^(?:registrationId|enrollmentGroupId)/.test(target)) return "name";
  return undefined;
}

/** Fields that stand differently in two forms, as people read them.
 * @param after what would be written, where that is not the form itself */
export function differences(theirs: Values, mine: Values, after: Values = mine): { label: string; theirs: string; mine: string }[] {
  const show = (values: Values): [string, string][] => [
    [t.enrollments.provisioningStatus, values.enabled ? t.enrollments.enabled : t.enrollments.disabled],
    [t.enrollments.reprovision, t.enrollments.reprovisions[values.reprovision] ?? ""],
    [t.enrollments.targetHubs, values.hubs.join(", ") || t.enrollments.allHubs],
    [t.enrollments.allocationPolicy, values.allocation ? (t.enrollments.allocations[values.allocation] ?? values.allocation) : t.enrollments.serviceAllocation],
    [t.enrollments.webhook, values.webhookUrl],
    [t.enrollments.deviceId, values.deviceId],
    [t.enrollments.edge, values.edge ? t.common.yes : t.common.no],
    [t.enrollments.tags, values.tags],
    [t.enrollments.desired, values.desired],
    [t.enrollments.policyLabel, values.policy || t.enrollments.policyNone],
    [t.enrollments.primaryCa, values.primaryCa],
    [t.enrollments.secondaryCa, values.secondaryCa],
  ];
  const [other, written] = [show(mine), show(after)];
  return show(theirs).flatMap(([label, text], at) => (text === other[at]?.[1] ? [] : [{ label, theirs: text, mine: written[at]?.[1] ?? "" }]));
}
