import { afterEach, expect, test, vi } from "vitest";
import { searchPrincipals } from "./directory";
import { useTokens } from "./http";

afterEach(() => vi.unstubAllGlobals());

test("a search that leaves principals out says so", async () => {
  useTokens({ bearer: async () => "token" });
  let next: string | undefined = "https://g/v1.0/users?$skiptoken=x";
  vi.stubGlobal("fetch", async (path: string) => Response.json({ value: [{ id: path.split("?")[0], displayName: "pump" }], ...(path.startsWith("/v1.0/users") && next ? { "@odata.nextLink": next } : {}) }));
  expect(await searchPrincipals("pu")).toMatchObject({ rows: [{ kind: "User" }, { kind: "Group" }, { kind: "ServicePrincipal" }], more: true });
  next = undefined;
  expect((await searchPrincipals("pu")).more).toBe(false);
});
