/** The screens of the page: an address and the file that has it. A screen is a file with a default export, and a row here. */

import type { ComponentType } from "react";

export interface Screen {
  /** Below `/portal`. */
  path: string;
  load: () => Promise<{ default: ComponentType }>;
}

/** The page that a wizard ends in. */
export const loadResult = () => import("./home/DeploymentPage");

export const SCREENS: Screen[] = [
  { path: "/", load: () => import("./home/Home") },
  { path: "/create", load: () => import("./home/Create") },
  { path: "/deployments/:id", load: loadResult },
  { path: "/resource/*", load: () => import("../frames/ResourcePage") },
  { path: "/resources", load: () => import("./home/AllResources") },
  { path: "/namespaces", load: () => import("./namespaces/List") },
  { path: "/create/namespace", load: () => import("./namespaces/Create") },
  { path: "/hubs", load: () => import("./hubs/List") },
  { path: "/create/hub", load: () => import("./hubs/Create") },
  { path: "/provisioning-services", load: () => import("./provisioning/List") },
  { path: "/create/provisioning-service", load: () => import("./provisioning/Create") },
  { path: "/enrollments/new/:kind/*", load: () => import("./enrollments/New") },
  { path: "/enrollments/edit/:kind/:name/*", load: () => import("./enrollments/Edit") },
  { path: "/devices", load: () => import("./devices/List") },
  { path: "/resource-graph", load: () => import("./explorer/Explorer") },
  { path: "/activity", load: () => import("./activity/Activity") },
  { path: "/groups", load: () => import("./groups/List") },
  { path: "/create/group", load: () => import("./groups/Create") },
  { path: "/identities", load: () => import("./identities/List") },
  { path: "/create/identity", load: () => import("./identities/Create") },
  { path: "/subscriptions", load: () => import("./subscriptions/List") },
  { path: "/assign/*", load: () => import("./iam/Assign") },
];
