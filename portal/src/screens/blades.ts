/** The blades of resources: what the menu of a resource shows. A blade is a file that exports a component for `BladeProps`, and a row here. */

import type { ComponentType } from "react";
import { GROUP, SUBSCRIPTION } from "../api/resourceId";
import type { BladeProps } from "../frames/ResourcePage";
import { DEVICE, HUB, IDENTITY, NAMESPACE, POLICY, PROVISIONING, TRACKED } from "../resources";
import { t } from "../texts";

export interface Blade {
  /** Last segment of the address. */
  id: string;
  label: string;
  icon: string;
  /** Heading in the menu that it stands under. */
  group?: string;
  /** Resource types that have it; all where it is missing. */
  types?: string[];
  load: () => Promise<{ default: ComponentType<BladeProps> }>;
}

export const BLADES: Blade[] = [
  { id: "overview", label: t.blades.overview, icon: "overview", types: [NAMESPACE], load: () => import("./namespaces/Overview") },
  { id: "overview", label: t.blades.overview, icon: "overview", types: [POLICY], load: () => import("./policies/Overview") },
  { id: "overview", label: t.blades.overview, icon: "overview", types: [GROUP], load: () => import("./groups/Overview") },
  { id: "overview", label: t.blades.overview, icon: "overview", types: [SUBSCRIPTION], load: () => import("./subscriptions/Overview") },
  { id: "overview", label: t.blades.overview, icon: "overview", types: [IDENTITY], load: () => import("./identities/Overview") },
  { id: "overview", label: t.blades.overview, icon: "overview", types: [HUB], load: () => import("./hubs/Overview") },
  { id: "overview", label: t.blades.overview, icon: "overview", types: [PROVISIONING], load: () => import("./provisioning/Overview") },
  { id: "overview", label: t.blades.overview, icon: "overview", types: [DEVICE], load: () => import("./devices/RegistryOverview") },
  { id: "activity", label: t.blades.activity, icon: "activity", load: () => import("./common/Activity") },
  { id: "iam", label: t.blades.iam, icon: "iam", load: () => import("./iam/Iam") },
  { id: "tags", label: t.blades.tags, icon: "tag", types: [GROUP, SUBSCRIPTION, ...TRACKED], load: () => import("./common/Tags") },
  { id: "identity", label: t.blades.identity, icon: "identity", group: t.blades.settings, types: [NAMESPACE], load: () => import("./namespaces/Identity") },
  { id: "policies", label: t.blades.policies, icon: "policy", group: t.blades.namespaceResources, types: [NAMESPACE], load: () => import("./policies/List") },
  { id: "locks", label: t.blades.locks, icon: "lock", group: t.blades.settings, load: () => import("./common/Locks") },
  { id: "identity", label: t.blades.identity, icon: "identity", group: t.plantBlades.security, types: [HUB, PROVISIONING], load: () => import("./common/Identities") },
  { id: "shared-policies", label: t.plantBlades.policies, icon: "key", group: t.plantBlades.security, types: [HUB, PROVISIONING], load: () => import("./common/SharedPolicies") },
  { id: "certificates", label: t.plantBlades.certificates, icon: "certificate", group: t.plantBlades.security, types: [HUB, PROVISIONING], load: () => import("./common/CaCertificates") },
  { id: "linked-hubs", label: t.plantBlades.linkedHubs, icon: "hub", group: t.blades.settings, types: [PROVISIONING], load: () => import("./provisioning/LinkedHubs") },
  { id: "allocation", label: t.plantBlades.allocation, icon: "settings", group: t.blades.settings, types: [PROVISIONING], load: () => import("./provisioning/Allocation") },
  { id: "enrollments", label: t.plantBlades.enrollments, icon: "policy", group: t.blades.settings, types: [PROVISIONING], load: () => import("./enrollments/List") },
  { id: "registrations", label: t.plantBlades.registrations, icon: "device", group: t.blades.settings, types: [PROVISIONING], load: () => import("./registrations/Blade") },
  { id: "devices", label: t.plantBlades.devices, icon: "device", group: t.plantBlades.deviceManagement, types: [HUB], load: () => import("./devices/OfHub") },
  { id: "events", label: t.plantBlades.events, icon: "activity", group: t.plantBlades.deviceManagement, types: [HUB], load: () => import("./events/Blade") },
  { id: "devices", label: t.plantBlades.devices, icon: "device", group: t.blades.namespaceResources, types: [NAMESPACE], load: () => import("./devices/OfNamespace") },
  { id: "certificates", label: t.plantBlades.issued, icon: "certificate", group: t.blades.namespaceResources, types: [NAMESPACE], load: () => import("./certificates/Blade") },
  { id: "metrics", label: t.plantBlades.metrics, icon: "graph", group: t.plantBlades.monitoring, types: [HUB], load: () => import("./metrics/OfHub") },
  { id: "metrics", label: t.plantBlades.metrics, icon: "graph", group: t.plantBlades.monitoring, types: [NAMESPACE], load: () => import("./metrics/OfNamespace") },
  { id: "json", label: t.blades.json, icon: "document", group: t.blades.automation, load: () => import("./common/Json") },
];
