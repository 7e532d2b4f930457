/** The service API of a provisioning service: enrollments and what registered through them. */

import { send, withQuery } from "./http";
import { readContinued, type Page } from "./pager";
import { API } from "./versions";
import { segment } from "../wellFormed";

export type Kind = "group" | "individual";

export interface CertificateInfo {
  subjectName?: string;
  issuerName?: string;
  sha1Thumbprint?: string;
  sha256Thumbprint?: string;
  notBeforeUtc?: string;
  notAfterUtc?: string;
  serialNumber?: string;
}

export interface Given {
  certificate?: string;
  info?: CertificateInfo;
}

export interface Pair<T> {
  primary?: T | null;
  secondary?: T | null;
}

export interface Attestation {
  type: "symmetricKey" | "x509" | "tpm";
  symmetricKey?: { primaryKey?: string; secondaryKey?: string };
  x509?: { signingCertificates?: Pair<Given> | null; clientCertificates?: Pair<Given> | null; caReferences?: Pair<string> | null };
  tpm?: { endorsementKey?: string; storageRootKey?: string };
}

export interface Enrollment {
  enrollmentGroupId?: string;
  registrationId?: string;
  deviceId?: string;
  attestation: Attestation;
  capabilities?: { iotEdge?: boolean };
  etag?: string;
  initialTwin?: { tags?: Record<string, unknown>; properties?: { desired?: Record<string, unknown> } };
  provisioningStatus?: "enabled" | "disabled";
  reprovisionPolicy?: { updateHubAssignment?: boolean; migrateDeviceData?: boolean };
  allocationPolicy?: "hashed" | "geoLatency" | "static" | "custom";
  customAllocationDefinition?: { webhookUrl?: string; apiVersion?: string };
  iotHubs?: string[];
  credentialPolicyName?: string | null;
  createdDateTimeUtc?: string;
  lastUpdatedDateTimeUtc?: string;
  registrationState?: Registration;
}

export interface Registration {
  registrationId: string;
  deviceId?: string;
  status: string;
  substatus?: string;
  assignedHub?: string;
  errorCode?: number;
  errorMessage?: string;
  createdDateTimeUtc?: string;
  lastUpdatedDateTimeUtc?: string;
  etag?: string;
}

const COLLECTION: Record<Kind, string> = { group: "enrollmentGroups", individual: "enrollments" };

/** Path of a call on the host of a provisioning service, on this origin. */
export function dpsPath(host: string, path: string): string {
  return withQuery(`/at/${host}${path}`, { "api-version": API.provisioningData });
}

export function enrollmentPath(host: string, kind: Kind, id: string): string {
  return dpsPath(host, `/${COLLECTION[kind]}/${segment(id)}`);
}

export function registrationPath(host: string, id: string): string {
  return dpsPath(host, `/registrations/${segment(id)}`);
}

/** Name of an enrollment of either kind. */
export function enrollmentId(enrollment: Enrollment): string {
  return enrollment.enrollmentGroupId ?? enrollment.registrationId ?? "";
}

export function queryEnrollments(host: string, kind: Kind, size: number, after?: string, signal?: AbortSignal): Promise<Page<Enrollment>> {
  const body = { query: `SELECT * FROM ${COLLECTION[kind]}` };
  return readContinued<Enrollment>({ method: "POST", path: dpsPath(host, `/${COLLECTION[kind]}/query`), audience: "dps", body, signal }, size, after);
}

export async function readEnrollment(host: string, kind: Kind, id: string, signal?: AbortSignal): Promise<Enrollment> {
  return (await send<Enrollment>({ method: "GET", path: enrollmentPath(host, kind, id), audience: "dps", signal })).body;
}

/** The keys of an enrollment: read when somebody asks for them, never kept. */
export async function readAttestation(host: string, kind: Kind, id: string): Promise<Attestation> {
  const path = dpsPath(host, `/${COLLECTION[kind]}/${segment(id)}/attestationmechanism`);
  return (await send<Attestation>({ method: "POST", path, audience: "dps" })).body;
}

export function queryRegistrations(host: string, group: string, size: number, after?: string, signal?: AbortSignal): Promise<Page<Registration>> {
  const path = dpsPath(host, `/registrations/${segment(group)}/query`);
  return readContinued<Registration>({ method: "POST", path, audience: "dps", signal }, size, after);
}

export async function readRegistration(host: string, id: string, signal?: AbortSignal): Promise<Registration> {
  return (await send<Registration>({ method: "GET", path: registrationPath(host, id), audience: "dps", signal })).body;
}
