/** Drop-downs whose reading stops say so, and ask the server for what was not read. */

import { expect, fresh, test } from "./support/test";

test("a resource group beyond the first 5,000 is found by a part of its name, and taken for what it is", async ({ portal, server }) => {
  const far = fresh("zz-far-group");
  await server.group(far);
  const page = await portal("/");
  // As a subscription with very many groups answers: what is read stops before the one that is wanted.
  const rows = Array.from({ length: 5000 }, (_, at) => ({ id: `${server.subscription}/resourceGroups/group-${at}`, name: `group-${at}`, type: "Microsoft.Resources/resourceGroups", location: "westeurope" }));
  await page.route(/\/resourcegroups\?/i, (route) => route.fulfill({ json: { value: rows, nextLink: `${server.origin}${server.subscription}/resourcegroups?api-version=2021-04-01&%24skiptoken=x` } }));
  await page.getByRole("combobox", { name: /Search resources/ }).fill("Namespaces");
  await page.getByRole("combobox", { name: /Search resources/ }).press("Enter");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const group = page.getByRole("combobox", { name: "Resource group" });
  await expect(page.getByText("Only the first 5,000 are listed.")).toBeVisible();
  await group.click();
  await expect(page.getByRole("option", { name: "4800 more: type to find them" })).toBeVisible();
  await group.fill(far.slice(1));
  await page.getByRole("option", { name: far, exact: true }).click();
  await expect(group).toHaveValue(far);
  await expect(page.getByRole("combobox", { name: "Region" })).toHaveValue(/West Europe/);
  // It is there: nothing makes it anew.
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(fresh("ns"));
  await page.getByRole("button", { name: "Review + create", exact: true }).click();
  await expect(page.getByText("az group create")).toHaveCount(0);
  await expect(page.getByText("az iot adr ns create")).toContainText(far);
  await page.reload();
  await page.getByRole("tab", { name: "Basics" }).click();
  await expect(group).toHaveValue(far);
  // A new one of that name is refused, although it was not read.
  await page.getByRole("button", { name: "Create new" }).click();
  const dialog = page.getByRole("dialog", { name: "Create a new resource group" });
  await dialog.getByRole("textbox", { name: "Name" }).fill(far);
  await expect(dialog.getByText("There is a resource group of this name already.")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Create new" })).toBeFocused();
});
