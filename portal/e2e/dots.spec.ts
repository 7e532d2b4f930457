/** Ids that a browser takes for steps in a path. */

import { fillIn } from "./support/signIn";
import { expect, fresh, test } from "./support/test";

const DATA = "?api-version=2021-04-12";

test("a device called '..' is made, opened, read again, changed and deleted like any other", async ({ portal, newcomer, server }) => {
  const group = await server.group(fresh("dots"));
  const namespace = await server.namespace(group, fresh("ns"));
  const identity = await server.identity(group, fresh("id"));
  await server.assign("Azure Device Registry Contributor", namespace, identity.principalId);
  const name = fresh("hub");
  const hub = await server.hub(group, name, namespace, identity.id);
  await server.assignOwner("IoT Hub Data Contributor", hub);
  const host = `${name}.azure-devices.localhost`;
  await server.callAt(host, "PUT", `/devices/neighbour${DATA}`, { deviceId: "neighbour" });
  const page = await portal(`/resource${hub}/devices`);
  const twin = async () => (await server.callAt(host, "POST", `/devices/query${DATA}`, { query: "SELECT * FROM devices WHERE deviceId = '..'" })).body[0];
  for (const id of [".", ".."]) {
    await page.goto(`${server.origin}/portal/resource${hub}/devices`);
    await page.getByRole("button", { name: "Add Device" }).click();
    await page.getByRole("textbox", { name: "Device ID" }).fill(id);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByRole("heading", { level: 2, name: id, exact: true })).toBeVisible();
  }
  await page.getByRole("link", { name: "All devices of the hub" }).click();
  await page.getByRole("link", { name: "..", exact: true }).click();
  await expect(page.getByRole("heading", { level: 2, name: "..", exact: true })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { level: 2, name: "..", exact: true })).toBeVisible();
  // The address, in another browser.
  const other = await newcomer();
  await other.goto(page.url());
  await fillIn(other, await server.ownerPerson());
  await expect(other.getByRole("heading", { level: 2, name: "..", exact: true })).toBeVisible();
  await expect(other.getByText("Disconnected")).toBeVisible();
  await page.bringToFront();
  await page.getByRole("tab", { name: "Twin" }).click();
  await page.getByRole("textbox", { name: "Twin tags" }).fill('{"site": "north"}');
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(async () => (await twin()).tags).toEqual({ site: "north" });
  await page.getByRole("tab", { name: "Identity" }).click();
  // What the hub gives by a path only is refused with a way, and nothing else is asked for.
  await page.getByRole("button", { name: "Show keys" }).click();
  await expect(page.getByText("Browsers take '..' out of an address")).toBeVisible();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByRole("button", { name: "Yes" }).click();
  await expect.poll(async () => (await twin()).status).toBe("disabled");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Yes" }).click();
  await expect.poll(twin).toBeUndefined();
  await expect(page.getByRole("link", { name: "neighbour" })).toBeVisible();
  await expect(page.getByRole("link", { name: ".", exact: true })).toBeVisible();
});
