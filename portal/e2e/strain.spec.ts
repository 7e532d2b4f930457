/** What strains the page: many rows, forced colours, a clock that is an hour off. */

import { choose, expect, fresh, test } from "./support/test";
import { fillIn } from "./support/signIn";

const DEVICES = 10_000;
const AT_ONCE = 100;
const DATA = "?api-version=2021-04-12";
const HOUR_MS = 3_600_000;

test("10,000 devices: a page at a time, found by their names, and no more in the page than is shown", async ({ portal, server }) => {
  test.setTimeout(300_000);
  const group = await server.group(fresh("many"));
  const name = fresh("hub");
  const hub = `${group}/providers/Microsoft.Devices/IotHubs/${name}`;
  await server.call("PUT", `${hub}?api-version=2026-03-01-preview`, { location: "westeurope", sku: { name: "S1", capacity: 1 }, properties: {} });
  await server.assignOwner("IoT Hub Data Contributor", hub);
  const host = `${name}.azure-devices.localhost`;
  const ids = Array.from({ length: DEVICES }, (_, at) => `pump-${String(at).padStart(5, "0")}`);
  for (let at = 0; at < DEVICES; at += AT_ONCE) {
    const body = ids.slice(at, at + AT_ONCE).map((id) => ({ id, importMode: "create" }));
    await server.callAt(host, "POST", `/devices${DATA}`, body);
  }
  const page = await portal(`/resource${hub}/overview`);
  await page.getByRole("navigation", { name: "Pages of the resource" }).getByRole("link", { name: "Devices", exact: true }).click();
  const grid = page.getByRole("grid", { name: "Devices" });
  await expect(grid.getByRole("row")).toHaveCount(51);
  await page.getByRole("button", { name: "Next >" }).click();
  await expect(grid.getByRole("link", { name: "pump-00050" })).toBeVisible();
  await page.getByRole("searchbox", { name: "Find by how the ID begins" }).fill("pump-0999");
  await expect(grid.getByRole("row")).toHaveCount(11);
  await expect(grid.getByRole("link", { name: "pump-09999" })).toBeVisible();
  await page.getByRole("checkbox", { name: "Mark all rows of this page" }).check();
  await page.getByRole("button", { name: "Disable", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Disable" }).click();
  await expect(grid.getByRole("gridcell", { name: "Disabled", exact: true })).toHaveCount(10);
  const { nodes, bytes } = await page.evaluate(() => ({
    nodes: document.querySelectorAll("*").length,
    bytes: (performance as unknown as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize ?? 0,
  }));
  expect(nodes).toBeLessThan(5000);
  expect(bytes).toBeLessThan(300 * 1024 * 1024);
});

test("forced colours: what is chosen, wrong, or counted is seen without our colours", async ({ newcomer, server }) => {
  const namespace = await server.namespace(await server.group(fresh("forced")), fresh("ns"));
  const page = await newcomer({ forcedColors: "active" });
  await page.goto(`${server.origin}/portal/resource${namespace}/policies`);
  await fillIn(page, await server.ownerPerson());
  const chosen = page.getByRole("navigation", { name: "Pages of the resource" }).locator("[aria-current=page]");
  await expect(chosen).toBeVisible();
  const edges = await page
    .getByRole("navigation", { name: "Pages of the resource" })
    .getByRole("listitem")
    .evaluateAll((items) => items.map((item) => [item.getAttribute("aria-current") ?? "", getComputedStyle(item).borderLeftColor]));
  const [own, others] = [edges.filter(([current]) => current === "page"), edges.filter(([current]) => current === "")];
  expect(own).toHaveLength(1);
  expect(others.map(([, colour]) => colour)).not.toContain(own[0]?.[1]);
  await page.screenshot({ path: `${process.env["FERROHUB_TEST_OUT"] ?? "../target/portal-e2e"}-pictures/forced-colours-list.png` });
  await page.goto(`${server.origin}/portal/create/namespace`);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("-x");
  await page.getByRole("button", { name: "Review + create" }).click();
  const tab = page.getByRole("tab", { name: /^Basics, \d fields? with an error/ });
  const [dot, ground] = await tab.locator("span[aria-hidden]").last().evaluate((element) => [getComputedStyle(element).backgroundColor, getComputedStyle(document.body).backgroundColor]);
  expect(dot).not.toBe(ground);
  await page.screenshot({ path: `${process.env["FERROHUB_TEST_OUT"] ?? "../target/portal-e2e"}-pictures/forced-colours-wizard.png` });
});

test("a browser whose clock is an hour off, ahead or behind, signs in, reads and writes", async ({ newcomer, server }) => {
  for (const off of [HOUR_MS, -HOUR_MS]) {
    const page = await newcomer();
    await page.clock.setSystemTime(new Date(Date.now() + off));
    const name = fresh("clock");
    await page.goto(`${server.origin}/portal/create/group`);
    await fillIn(page, await server.ownerPerson());
    await page.getByRole("textbox", { name: "Resource group" }).fill(name);
    await choose(page, "Region", "West Europe");
    await page.getByRole("button", { name: "Review + create" }).click();
    await page.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByRole("button", { name: "Go to resource" }).click();
    await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
    await page.reload();
    await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
    await page.getByRole("link", { name: "Activity log" }).first().click();
    await expect(page.getByRole("row", { name: /Succeeded/i }).first()).toBeVisible();
  }
});
