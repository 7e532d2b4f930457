/** The resource types that the page knows: names, where they are created and listed. Blades are in `screens/blades.ts`. */

import { GROUP, isType, SUBSCRIPTION } from "./api/resourceId";

export interface TypeInfo {
  type: string;
  one: string;
  many: string;
  list: string;
  create?: string;
  icon: string;
  /** Whether deleting asks for the name typed. */
  typedDelete: boolean;
}

export const NAMESPACE = "Microsoft.DeviceRegistry/namespaces";
export const POLICY = "Microsoft.DeviceRegistry/namespaces/credentials/policies";
export const DEVICE = "Microsoft.DeviceRegistry/namespaces/devices";
export const HUB = "Microsoft.Devices/IotHubs";
export const PROVISIONING = "Microsoft.Devices/provisioningServices";
export const IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities";

export const TYPES: TypeInfo[] = [
  { type: NAMESPACE, one: "Device Registry namespace", many: "Namespaces", list: "/namespaces", create: "/create/namespace", icon: "registry", typedDelete: true },
  { type: POLICY, one: "Credential policy", many: "Credential policies", list: "/namespaces", icon: "policy", typedDelete: false },
  { type: DEVICE, one: "Device", many: "Devices", list: "/devices?at=namespaces", icon: "device", typedDelete: false },
  { type: HUB, one: "IoT hub", many: "IoT hubs", list: "/hubs", create: "/create/hub", icon: "hub", typedDelete: true },
  { type: PROVISIONING, one: "Device Provisioning Service", many: "Device Provisioning Services", list: "/provisioning-services", create: "/create/provisioning-service", icon: "provisioning", typedDelete: true },
  { type: IDENTITY, one: "Managed identity", many: "Managed Identities", list: "/identities", create: "/create/identity", icon: "identity", typedDelete: false },
  { type: GROUP, one: "Resource group", many: "Resource groups", list: "/groups", create: "/create/group", icon: "group", typedDelete: true },
  { type: SUBSCRIPTION, one: "Subscription", many: "Subscriptions", list: "/subscriptions", icon: "subscription", typedDelete: true },
];

/** Types without screens of their own, which stand in lists of resources all the same: whoever deletes a group must see them. */
const UNSCREENED = ["Microsoft.DeviceRegistry/assets", "Microsoft.DeviceRegistry/assetEndpointProfiles", "Microsoft.DeviceRegistry/schemaRegistries"];

/** The types that stand in lists of resources by themselves. */
export const TRACKED = [NAMESPACE, HUB, PROVISIONING, IDENTITY, ...UNSCREENED];

export function infoOf(type: string): TypeInfo | undefined {
  return TYPES.find((info) => isType(info.type, type));
}
