import type { Attestation } from "../../api/provisioningData";

export type Mechanism = "symmetricKey" | "x509" | "client" | "ca" | "tpm";

export function mechanismOf(attestation: Attestation): Mechanism {
  if (attestation.type !== "x509") return attestation.type;
  const filled = (pair: object | null | undefined) => pair != null && Object.values(pair).some((side) => side != null);
  if (filled(attestation.x509?.caReferences)) return "ca";
  return filled(attestation.x509?.clientCertificates) ? "client" : "x509";
}
