import { useSyncExternalStore } from "react";
import { Deployments, type Deployment } from "./deployments";

/** Those of this window. */
export const deployments = new Deployments(sessionStorage, undefined, undefined, navigator.locks);

export function useDeployments(): Deployment[] {
  return useSyncExternalStore(deployments.subscribe, deployments.snapshot);
}
