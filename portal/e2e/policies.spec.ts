import { expect, fresh, test } from "./support/test";

test("002 and 004: a policy is made, its rules hold, Go to resource shows it, read only", async ({ portal, server }) => {
  const namespace = await server.namespace(await server.group(fresh("policies")), fresh("ns"));
  const page = await portal(`/resource${namespace}/policies`);
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const pane = page.getByRole("dialog");
  await pane.getByLabel("Name").fill("default");
  await expect(pane.getByText("A policy of this name is in the list already.")).toBeVisible();
  await pane.getByLabel("Name").fill("custom-policy");
  for (const [days, good] of [["0", false], ["3651", false], ["1.5", false], ["1", true], ["3650", true]] as const) {
    await pane.getByLabel("Validity period (days)").fill(days);
    await expect(pane.getByText("Enter 1 to 3650 days.")).toHaveCount(good ? 0 : 1);
  }
  await pane.getByLabel("Validity period (days)").fill("31");
  await pane.getByRole("button", { name: "Next: Review + create" }).click();
  await expect(pane.getByRole("group", { name: "az commands" })).toContainText("az iot adr ns policy create --name custom-policy");
  await pane.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("row", { name: /custom-policy/ })).toContainText("31");
  const status = page.getByRole("combobox", { name: "Status" });
  for (const [choice, shown] of [["Disabled", false], ["Enabled", true]] as const) {
    await status.click();
    await page.getByRole("option", { name: choice, exact: true }).click();
    await expect(page.getByRole("row", { name: /custom-policy/ })).toBeVisible({ visible: shown });
  }
  // A question that is answered with no leaves the mark and the focus where they were.
  const mark = page.getByRole("checkbox", { name: "Mark custom-policy" });
  await mark.check();
  const remove = page.getByRole("button", { name: "Delete", exact: true });
  await remove.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel" }).click();
  await expect(remove).toBeFocused();
  await expect(mark).toBeChecked();
  await page.getByRole("link", { name: "Go to resource" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "custom-policy", exact: true })).toBeVisible();
  await expect(page.getByText("ECC P-384")).toBeVisible();
  await expect(page.getByText("A policy cannot be edited here")).toBeVisible();
});

test("002 and 004: sync says that it cannot be undone; a hub that refuses has its row with the command; then it works", async ({ portal, server }) => {
  const group = await server.group(fresh("sync"));
  const namespace = await server.namespace(group, fresh("ns"));
  const identity = await server.identity(group, "uami");
  await server.assign("Contributor", namespace, identity.principalId);
  const hub = await server.hub(group, fresh("hub"), namespace, identity.id);
  const hubName = hub.split("/").pop() ?? "";
  const page = await portal(`/resource${namespace}/policies`);
  await expect(page.getByText(`not on ${hubName}`)).toBeVisible();
  // Where policies stand is told of devices too, also of rows that the page has kept.
  const device = { id: `${namespace}/devices/pump`, name: "pump", resourceGroup: "g", location: "westeurope", tags: null, properties: { policy: { resourceId: `${namespace}/credentials/default/policies/default` }, endpoints: { outbound: { assigned: { [hubName]: {} } } } } };
  await page.route(/Microsoft\.ResourceGraph/, (route) => (/namespaces\/devices/.test(route.request().postData() ?? "") ? route.fulfill({ json: { totalRecords: 1, data: [device] } }) : route.continue()));
  await page.goto(`${server.origin}/portal/devices?at=namespaces`);
  const badge = page.getByText(`policy default not on hub ${hubName}`);
  await expect(badge).toBeVisible();
  for (let at = 0; at < 2; at += 1) {
    await page.getByRole("tab", { name: "At IoT hubs" }).click();
    await page.getByRole("tab", { name: "In namespaces" }).click();
    await expect(badge).toBeVisible({ timeout: 1500 });
  }
  await page.goBack();
  await page.goto(`${server.origin}/portal/resource${namespace}/policies`);
  await page.getByRole("button", { name: "Sync all" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog.getByText("This can't be undone.")).toBeVisible();
  await expect(dialog.getByText(`${hubName}: gets default`)).toBeVisible();
  await dialog.getByRole("button", { name: "Sync all" }).click();
  await page.getByRole("button", { name: /^Notifications/ }).click();
  const note = page.getByRole("article", { name: /Sync all policies/ });
  await expect(note).toContainText("Synchronized 0 of 1 hubs");
  await expect(note.getByRole("group", { name: "az commands" })).toContainText("az role assignment create");
  await page.keyboard.press("Escape");
  const made = await server.call("GET", `${namespace}?api-version=2026-03-01-preview`);
  await server.assign("Contributor", hub, made.body.identity.principalId as string);
  await page.getByRole("checkbox", { name: "Mark default" }).check();
  await page.getByRole("button", { name: "Sync", exact: true }).click();
  await dialog.getByRole("button", { name: "Sync", exact: true }).click();
  await expect(page.getByText("1 of 1 synced")).toBeVisible();
});
