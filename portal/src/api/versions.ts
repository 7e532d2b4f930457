/** The api-versions that the page speaks. */

export const API = {
  subscriptions: "2022-12-01",
  resources: "2021-04-01",
  authorization: "2022-04-01",
  locks: "2020-05-01",
  identities: "2023-01-31",
  registry: "2026-03-01-preview",
  hubs: "2026-03-01-preview",
  provisioning: "2026-03-01-preview",
  resourceGraph: "2022-10-01",
  activity: "2015-04-01",
  hubData: "2021-04-12",
  provisioningData: "2025-07-01-preview",
} as const;

/** The api-version for the resource type `type` (`Microsoft.Devices/IotHubs`, any case). */
export function versionOf(type: string): string {
  const lower = type.toLowerCase();
  if (lower.startsWith("microsoft.deviceregistry/")) return API.registry;
  if (lower.startsWith("microsoft.devices/iothubs")) return API.hubs;
  if (lower.startsWith("microsoft.devices/provisioningservices")) return API.provisioning;
  if (lower.startsWith("microsoft.managedidentity/")) return API.identities;
  if (lower.startsWith("microsoft.authorization/locks")) return API.locks;
  if (lower.startsWith("microsoft.authorization/")) return API.authorization;
  return API.resources;
}
