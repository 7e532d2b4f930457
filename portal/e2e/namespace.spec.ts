import type { Request } from "@playwright/test";
import { choose, expect, fresh, test } from "./support/test";

const VERSION = "?api-version=2026-03-01-preview";
const HOSTILE = `"><img src=x onerror=alert(1)> {{7*7}} \u202Ejavascript:`;

test("002: a namespace with its group, identity, credential, default policy and tags; JSON view copies its principal id", async ({ portal, server }) => {
  const group = fresh("made");
  const name = fresh("ns");
  const page = await portal("/");
  await page.getByRole("combobox", { name: /Search resources/ }).fill("Azure Device Registry");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("button", { name: "Create new" }).click();
  const asked = page.getByRole("dialog", { name: "Create a new resource group" });
  await asked.getByRole("textbox", { name: "Name" }).fill(group);
  await asked.getByRole("button", { name: "OK" }).click();
  await choose(page, "Region", "West Europe");
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
  await page.getByRole("button", { name: "Next: Identity" }).click();
  await expect(page.getByRole("switch", { name: "System-assigned managed identity" })).toBeChecked();
  await expect(page.getByRole("switch", { name: "Enable credential resource" })).toBeChecked();
  await page.getByRole("button", { name: "Next: Tags" }).click();
  await page.getByLabel("Name of tag 1").fill("site");
  await page.getByLabel("Value of tag 1").fill(HOSTILE);
  await page.getByRole("button", { name: "Next: Review + create" }).click();
  await expect(page.getByRole("group", { name: "az commands" })).toContainText(`az iot adr ns create --name ${name} --resource-group ${group}`);
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { name: /complete/ })).toBeVisible();
  await page.getByRole("button", { name: "Go to resource" }).click();
  await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
  await expect(page.getByRole("link", { name: /site: "><img/ })).toBeVisible();
  await page.getByRole("button", { name: "JSON view" }).click();
  const pane = page.getByRole("dialog");
  await expect(pane.getByText("identity.principalId")).toBeVisible();
  await pane.getByRole("button", { name: "Copy principalId" }).click();
  const made = await server.call("GET", `${server.subscription}/resourceGroups/${group}/providers/Microsoft.DeviceRegistry/namespaces/${name}${VERSION}`);
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(made.body.identity.principalId);
  expect(made.body.tags).toEqual({ site: HOSTILE });
  await pane.getByRole("button", { name: "Close" }).click();
  await page.getByRole("link", { name: "Credential policies (Preview)" }).click();
  await expect(page.getByRole("link", { name: "default" })).toBeVisible();
});

test("identity and credential off; each is enabled later", async ({ portal, server }) => {
  const group = await server.group(fresh("later"));
  const name = fresh("ns");
  const page = await portal("/create/namespace");
  await choose(page, "Resource group", group.split("/").pop() ?? "");
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
  await page.getByRole("button", { name: "Next: Identity" }).click();
  await page.getByRole("switch", { name: "System-assigned managed identity" }).click();
  await expect(page.getByText("Policies cannot be synchronized to hubs")).toBeVisible();
  await page.getByRole("switch", { name: "Enable credential resource" }).click();
  await expect(page.getByText("No certificates are issued")).toBeVisible();
  await page.getByRole("button", { name: "Review + create" }).click();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("button", { name: "Go to resource" }).click();
  await page.getByRole("link", { name: "Credential policies (Preview)" }).click();
  await page.getByRole("button", { name: "Enable credential resource" }).click();
  await expect(page.getByText("There are no policies.")).toBeVisible();
  await page.getByRole("link", { name: "Identity", exact: true }).click();
  await page.getByRole("switch", { name: "Status" }).click();
  await page.getByRole("button", { name: "Yes" }).click();
  await expect(page.getByText("Object (principal) ID")).toBeVisible();
});

test("names: page and server refuse the same, in the same words", async ({ portal, server }) => {
  const group = await server.group(fresh("names"));
  await server.namespace(group, "taken");
  const page = await portal("/create/namespace");
  await choose(page, "Resource group", group.split("/").pop() ?? "");
  const field = page.getByRole("textbox", { name: "Name", exact: true });
  for (const name of ["Bad", "a_b", "-ab", "ab-", "ab", "ä-b", "a b", "x".repeat(65)]) {
    await field.fill(name);
    const refused = await server.call("PUT", `${group}/providers/Microsoft.DeviceRegistry/namespaces/${name}${VERSION}`, { location: "westeurope", properties: {} }, { any: true });
    expect(refused.status).toBe(400);
    const words = "3 to 64 characters, lower-case letters, digits and inner '-'";
    expect(refused.body.error.message).toContain(words);
    await expect(page.getByText(words)).toBeVisible();
  }
  await field.fill("y".repeat(1_000_000));
  await expect(page.getByText("3 to 64 characters")).toBeVisible();
  await field.fill("taken");
  await expect(page.getByText("A namespace with this name exists in this resource group.")).toBeVisible();
  await page.getByRole("button", { name: "Review + create" }).click();
  await expect(page.getByRole("tab", { name: "Basics, 1 field with an error" })).toBeVisible();
  await field.fill("not-taken");
  await expect(page.getByText("No namespace of this name is in this resource group.")).toBeVisible();
});

test("004: deleting is blocked by what is linked, with links; then the name is typed", async ({ portal, server }) => {
  const group = await server.group(fresh("delete"));
  const namespace = await server.namespace(group, fresh("ns"));
  const name = namespace.split("/").pop() ?? "";
  const identity = await server.identity(group, "uami");
  await server.assign("Contributor", namespace, identity.principalId);
  const hub = await server.hub(group, fresh("hub"), namespace, identity.id);
  const page = await portal(`/resource${namespace}/overview`);
  await page.getByRole("toolbar").getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog.getByRole("link", { name: hub.split("/").pop() ?? "" })).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Delete" })).toHaveCount(0);
  await dialog.getByRole("button", { name: "Close" }).click();
  await server.call("DELETE", `${hub}${VERSION}`);
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(page.getByRole("group", { name: "Linked hubs" })).toContainText("0");
  // What goes is told, or nothing can be pressed: here the devices cannot be counted.
  const count = (call: Request) => /\| count"/.test(call.postData() ?? "");
  await page.route(/Microsoft\.ResourceGraph/, (route) => (count(route.request()) ? route.fulfill({ status: 503, json: { error: { code: "Busy", message: "later" } } }) : route.continue()));
  await page.reload();
  await page.getByRole("toolbar").getByRole("button", { name: "Delete" }).click();
  await expect(dialog.getByText("Busy")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Delete" })).toHaveCount(0);
  await page.unroute(/Microsoft\.ResourceGraph/);
  await dialog.getByRole("button", { name: "Try again" }).click();
  await expect(dialog.getByText("0 devices of the registry")).toBeVisible();
  await expect(dialog.getByText("its policies, and with them their issuing CAs: default")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Delete" })).toBeDisabled();
  await dialog.getByRole("textbox").fill(name);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Go to the list" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Namespaces", exact: true })).toBeVisible();
  expect((await server.call("GET", namespace + VERSION, undefined, { any: true })).status).toBe(404);
});

test("a server that is killed in the middle of a wizard takes nothing with it", async ({ portal, server }) => {
  const group = await server.group(fresh("killed"));
  const name = fresh("ns");
  const page = await portal("/create/namespace");
  await choose(page, "Resource group", group.split("/").pop() ?? "");
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
  await server.kill();
  await page.getByRole("button", { name: "Next: Identity" }).click();
  await page.getByRole("button", { name: "Review + create" }).click();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { name: /not known how it ended/ })).toBeVisible();
  await expect(page.getByText("Unreachable")).toBeVisible();
  await server.start();
  await page.reload();
  await page.getByRole("button", { name: "Try again from here" }).click();
  await expect(page.getByRole("heading", { name: /complete/ })).toBeVisible();
  const all = await server.call("GET", `${group}/providers/Microsoft.DeviceRegistry/namespaces${VERSION}`);
  expect(all.body.value.map((each: { name: string }) => each.name)).toEqual([name]);
});
