/** What the page is to the token service. */

import type { Audience } from "../api/http";

/** The application id of Azure's portal, as which the server knows this page. */
export const CLIENT_ID = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c";
/** Any tenant: a server has one. */
const TENANT = "organizations";

export const AUTHORIZE = `/${TENANT}/oauth2/v2.0/authorize`;
export const TOKEN = `/${TENANT}/oauth2/v2.0/token`;
export const LOGOUT = `/${TENANT}/oauth2/v2.0/logout`;

/** Where the code comes back to. */
export function redirectUri(): string {
  return `${location.origin}/portal/`;
}

const RESOURCES: Record<Audience, string> = {
  arm: "https://management.azure.com",
  graph: "https://graph.microsoft.com",
  hub: "https://iothubs.azure.net",
  dps: "https://azure-devices-provisioning.net",
  registry: "https://deviceregistry.azure.com",
};

/** The scope of a token for `audience`, with what a sign-in asks for beside. */
export function scopeOf(audience: Audience): string {
  return `${RESOURCES[audience]}/.default openid profile offline_access`;
}
