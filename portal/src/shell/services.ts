/** The services of the page: their names, under which search finds them, and where they are. */

export interface Service {
  id: string;
  /** The name that is shown. */
  name: string;
  /** Further names. */
  aliases: string[];
  path: string;
  /** Name of its icon in `shell/icons`. */
  icon: string;
}

export const SERVICES: Service[] = [
  {
    id: "registry",
    name: "Azure Device Registry",
    aliases: ["Device Registry", "ADR", "Namespaces", "Device Registry namespaces"],
    path: "/namespaces",
    icon: "registry",
  },
  { id: "hubs", name: "IoT Hub", aliases: ["Azure IoT Hub", "IoT Hubs", "Hubs"], path: "/hubs", icon: "hub" },
  {
    id: "provisioning",
    name: "Azure IoT Hub Device Provisioning Services",
    aliases: ["Device Provisioning Service", "Device Provisioning Services", "DPS", "Provisioning"],
    path: "/provisioning-services",
    icon: "provisioning",
  },
  { id: "devices", name: "Devices", aliases: ["IoT devices", "Device explorer"], path: "/devices", icon: "device" },
  { id: "groups", name: "Resource groups", aliases: ["Groups of resources"], path: "/groups", icon: "group" },
  { id: "identities", name: "Managed Identities", aliases: ["User-assigned managed identities", "Identity"], path: "/identities", icon: "identity" },
  { id: "subscriptions", name: "Subscriptions", aliases: [], path: "/subscriptions", icon: "subscription" },
  { id: "all", name: "All resources", aliases: ["Resources"], path: "/resources", icon: "all" },
  { id: "activity", name: "Activity log", aliases: ["Events of resources", "Monitor"], path: "/activity", icon: "activity" },
  { id: "graph", name: "Resource Graph Explorer", aliases: ["Resource Graph", "Queries", "KQL"], path: "/resource-graph", icon: "graph" },
];

/** Services that one of whose names holds `text`; names that begin with it come first. */
export function findServices(text: string): Service[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return SERVICES;
  const rank = (service: Service): number => {
    const names = [service.name, ...service.aliases].map((name) => name.toLowerCase());
    if (names.some((name) => name === wanted)) return 0;
    if (names.some((name) => name.startsWith(wanted))) return 1;
    return names.some((name) => name.includes(wanted)) ? 2 : 3;
  };
  return SERVICES.map((service) => ({ service, rank: rank(service) }))
    .filter((found) => found.rank < 3)
    .sort((a, b) => a.rank - b.rank)
    .map((found) => found.service);
}
