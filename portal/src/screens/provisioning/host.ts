import type { Resource } from "../../api/arm";

/** Name of the host that a provisioning service answers at; none while it is not known. */
export function serviceHost(resource: Resource | undefined): string {
  const host = resource?.properties?.["serviceOperationsHostName"];
  return typeof host === "string" ? host : "";
}
