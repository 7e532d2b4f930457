/** Keys of hubs for the links to them. */

import type { Resource } from "../../api/arm";
import { Fault } from "../../api/fault";
import { putStep } from "../../api/putBack";
import { pageOf, type ResourceId } from "../../api/resourceId";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { listKeys } from "../common/listKeys";
import { connectionString, type KeyPolicy } from "../common/sharedKeys";
import { authenticationText, shortHub, withHubs, type LinkedHub } from "./service";

/** The key of a hub's access policy.
 * @throws Fault where it may not be read, or is not there */
export async function keyOf(hub: string, policy: string): Promise<KeyPolicy> {
  const found = (await listKeys(hub)).find((each) => each.keyName.toLowerCase() === policy.toLowerCase());
  if (!found) throw new Fault({ status: 404, code: "NoAccessPolicy", message: t.linked.noPolicy(policy) });
  return found;
}

/** Gives the service the key that the link's policy has now.
 * @throws Fault where the keys may not be read, or the service does not take the key */
export async function relink(id: ResourceId, resource: Resource, link: LinkedHub, hub: string): Promise<void> {
  const fresh = connectionString(link.name, await keyOf(hub, authenticationText(link)), "primaryKey");
  const title = t.linked.changePlan(shortHub(link.name));
  const sent = withHubs(resource, (each) => (each.name === link.name ? { ...each, connectionString: fresh } : each));
  await deployments.perform({ title, steps: [{ ...putStep(title, resource, sent), secret: true }], target: pageOf(id.id, "linked-hubs") });
}
