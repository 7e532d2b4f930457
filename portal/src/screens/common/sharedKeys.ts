/** Keys of shared access policies: how a new one is asked for, and the connection strings that hold them. */

import { t } from "../../texts";

export interface KeyPolicy {
  keyName: string;
  primaryKey: string;
  secondaryKey: string;
  rights: string;
}

export type Change = "primary" | "secondary" | "swap";

/** The member `authorizationPolicies` that changes keys of the policy `name`: of the others, and where only the key that stays is sent, the
 * server knows what it has, and makes the missing key anew.
 * @throws Error where the policy is not among them: the server takes a list without it for one that changes nothing, or takes it away */
export function changedKeys(policies: KeyPolicy[], name: string, change: Change): Partial<KeyPolicy>[] {
  if (!policies.some((policy) => policy.keyName === name)) throw new Error(t.keys.notRead(name));
  return policies.map((policy) => {
    const { keyName, rights, primaryKey, secondaryKey } = policy;
    if (keyName !== name) return { keyName, rights };
    if (change === "swap") return { keyName, rights, primaryKey: secondaryKey, secondaryKey: primaryKey };
    return change === "primary" ? { keyName, rights, secondaryKey } : { keyName, rights, primaryKey };
  });
}

export function connectionString(host: string, policy: KeyPolicy, which: "primaryKey" | "secondaryKey"): string {
  return `HostName=${host};SharedAccessKeyName=${policy.keyName};SharedAccessKey=${policy[which]}`;
}

/** Can a provisioning service link a hub with it? (rights of a linked hub: reference iot-hub-and-dps.md G.2) */
export function mayLink(policy: KeyPolicy): boolean {
  const rights = policy.rights.toLowerCase();
  return rights.includes("registrywrite") && rights.includes("serviceconnect");
}
