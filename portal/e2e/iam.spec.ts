import { assign, chooseRole, held } from "./support/steps";
import { expect, fresh, test } from "./support/test";

const VERSION = "?api-version=2022-04-01";

test("002: Azure IoT Hub is found among the principals and gets Contributor on the group", async ({ portal, server }) => {
  const group = await server.group(fresh("iam"));
  const page = await portal(`/resource${group}/iam?tab=assignments`);
  await page.getByRole("button", { name: "Add role assignment" }).click();
  await page.getByRole("tab", { name: "Privileged administrator roles" }).click();
  await chooseRole(page, "Contributor");
  await page.getByRole("button", { name: "Select members" }).click();
  const pane = page.getByRole("dialog");
  await pane.getByRole("searchbox", { name: "Select" }).fill("Azure IoT Hub");
  await pane.getByRole("button", { name: /^Azure IoT Hub \(/ }).click();
  await pane.getByRole("button", { name: "Select", exact: true }).click();
  await expect(page.getByRole("row", { name: /Azure IoT Hub/ })).toBeVisible();
  await assign(page);
  await page.getByRole("button", { name: "Go to resource" }).click();
  await expect(page.getByRole("row", { name: /Azure IoT Hub.*Contributor.*This resource/ })).toBeVisible();
});

test("002: a user-assigned identity gets Onboarding and Registry Contributor on the namespace; a second time is no failure", async ({ portal, server }) => {
  const group = await server.group(fresh("iam"));
  const namespace = await server.namespace(group, fresh("ns"));
  const identity = await server.identity(group, fresh("uami"));
  const name = identity.id.split("/").pop() ?? "";
  const roles = ["Azure Device Registry Onboarding", "Azure Device Registry Contributor", "Azure Device Registry Onboarding"];
  for (const [at, role] of roles.entries()) {
    const page = await portal(`/resource${namespace}/iam?tab=assignments`);
    await page.getByRole("button", { name: "Add role assignment" }).click();
    await chooseRole(page, role);
    await page.getByRole("radio", { name: "Managed identity" }).check();
    await page.getByRole("button", { name: "Select members" }).click();
    const pane = page.getByRole("dialog");
    await expect(pane.getByRole("combobox", { name: "Managed identity" })).toHaveValue(/User-assigned managed identity \(\d+\)/);
    // A whole object id names one identity: it is chosen at once.
    await pane.getByRole("searchbox", { name: "Select" }).fill(at === 2 ? ` ${identity.principalId} ` : name);
    if (at < 2) await pane.getByRole("button", { name: new RegExp(`^${name} `) }).click();
    await expect(pane.getByRole("region", { name: "Selected members" })).toContainText(name);
    await pane.getByRole("button", { name: "Select", exact: true }).click();
    await assign(page);
  }
  const given = await server.call("GET", `${namespace}/providers/Microsoft.Authorization/roleAssignments${VERSION}&$filter=principalId eq '${identity.principalId}'`);
  expect(given.body.value).toHaveLength(2);
});

test("002: the pasted principal id of a namespace gets Contributor on another resource", async ({ portal, server }) => {
  const group = await server.group(fresh("iam"));
  const namespace = await server.namespace(group, fresh("ns"));
  const made = await server.call("GET", `${namespace}?api-version=2026-03-01-preview`);
  const principal = made.body.identity.principalId as string;
  const page = await portal(`/assign${group}`);
  await page.getByRole("tab", { name: "Privileged administrator roles" }).click();
  await chooseRole(page, "Contributor");
  await page.getByRole("button", { name: "Select members" }).click();
  const pane = page.getByRole("dialog");
  await pane.getByRole("searchbox", { name: "Select" }).fill(` ${principal} `);
  await pane.getByRole("button", { name: new RegExp(namespace.split("/").pop() ?? "") }).click();
  await pane.getByRole("button", { name: "Select", exact: true }).click();
  await expect(page.getByRole("row", { name: new RegExp(principal) })).toContainText("Managed identity");
  await assign(page);
});

test("a reader sees what is missing, and uses it as soon as it is given", async ({ portal, server }) => {
  const group = await server.group(fresh("rights"));
  const namespace = await server.namespace(group, fresh("ns"));
  const reader = await server.person(fresh("reader"), [["Reader", group]]);
  const page = await portal(`/resource${namespace}/policies`, reader);
  await expect(page.getByRole("link", { name: "default" })).toBeVisible();
  const create = page.getByRole("button", { name: "Create", exact: true });
  await expect(create).toHaveAttribute("aria-disabled", "true");
  await create.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("Microsoft.DeviceRegistry/namespaces/credentials/policies/write")).toBeVisible();
  await expect(page.getByRole("group", { name: "az commands" })).toContainText(`az role assignment create --assignee ${reader.objectId} --role 'Azure Device Registry Contributor'`);
  await page.keyboard.press("Escape");
  await server.assign("Contributor", namespace, reader.objectId);
  await expect(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("link", { name: "Credential policies (Preview)" }).click();
    await expect(create).not.toHaveAttribute("aria-disabled", "true", { timeout: 1000 });
  }).toPass();
  await create.click();
  await expect(page.getByRole("dialog")).toBeVisible();
});

test("who may see nothing is told which right is missing", async ({ portal, server }) => {
  const group = await server.group(fresh("hidden"));
  const nobody = await server.person(fresh("nobody"), []);
  const page = await portal(`/resource${group}/overview`, nobody);
  await expect(page.getByRole("alert").first()).toContainText("Microsoft.Resources/subscriptions/resourceGroups/read");
  await expect(page.getByRole("alert").first()).toContainText("az role assignment create");
});

test("locks and tags: two windows on one resource; the second sees what the first did", async ({ portal, server }) => {
  const namespace = await server.namespace(await server.group(fresh("two")), fresh("ns"));
  const one = await portal(`/resource${namespace}/tags`);
  const two = await portal(`/resource${namespace}/tags`);
  await one.getByLabel("Name of tag 1").fill("line");
  await one.getByLabel("Value of tag 1").fill("one");
  await one.getByLabel("Name of tag 2").fill("site");
  await one.getByLabel("Value of tag 2").fill("north");
  await two.getByLabel("Name of tag 1").fill("line");
  await two.getByLabel("Value of tag 1").fill("two");
  await one.getByRole("button", { name: "Apply" }).click();
  await expect(one.getByRole("button", { name: "Apply" })).toHaveAttribute("aria-disabled", "true");
  await two.getByRole("button", { name: "Apply" }).click();
  const dialog = two.getByRole("alertdialog");
  await expect(dialog.getByRole("row", { name: /line: one, site: north.*line: two, site: north/ })).toBeVisible();
  await dialog.getByRole("button", { name: "Apply mine on top" }).click();
  await expect(dialog).toHaveCount(0);
  const now = await server.call("GET", `${namespace}?api-version=2026-03-01-preview`);
  expect(now.body.tags).toEqual({ line: "two", site: "north" });
  // What is typed while a save is under way stays.
  const patch = await held(two, /namespaces\/[^/?]+\?/, "PATCH");
  await two.getByLabel("Value of tag 1").fill("three");
  await two.getByRole("button", { name: "Apply" }).click();
  await patch.arrived;
  await two.getByLabel("Value of tag 1").fill("three and more");
  patch.release();
  await expect(two.getByRole("button", { name: "Apply" })).not.toHaveAttribute("aria-disabled", "true");
  await expect(two.getByLabel("Value of tag 1")).toHaveValue("three and more");
  await two.getByRole("button", { name: "Discard changes" }).click();
  await expect(two.getByLabel("Value of tag 1")).toHaveValue("three");
  // A subscription's tags have no ETag: what somebody else set since is not touched.
  const whole = `${server.subscription}/providers/Microsoft.Resources/tags/default?api-version=2021-04-01`;
  const word = fresh("plant");
  await server.call("PATCH", whole, { operation: "Merge", properties: { tags: { [`${word}-a`]: "1", [`${word}-b`]: "2" } } });
  await one.goto(`${server.origin}/portal/resource${server.subscription}/tags`);
  await one.getByRole("button", { name: `Remove tag ${word}-b` }).click();
  await server.call("PATCH", whole, { operation: "Merge", properties: { tags: { [`${word}-c`]: "3" } } });
  await one.getByRole("button", { name: "Apply" }).click();
  await expect(one.getByRole("button", { name: `Remove tag ${word}-c` })).toBeVisible();
  const tagged = (await server.call("GET", whole)).body.properties.tags as Record<string, string>;
  expect(Object.fromEntries(Object.entries(tagged).filter(([name]) => name.startsWith(word)))).toEqual({ [`${word}-a`]: "1", [`${word}-c`]: "3" });
  await two.getByRole("link", { name: "Locks" }).click();
  await two.getByRole("button", { name: "Add", exact: true }).click();
  await two.getByRole("dialog").getByLabel("Lock name").fill("keep");
  await two.getByRole("dialog").getByRole("button", { name: "OK" }).click();
  await expect(two.getByRole("row", { name: /keep.*Delete.*This resource/ })).toBeVisible();
});
