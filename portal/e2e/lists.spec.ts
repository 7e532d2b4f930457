import { readFileSync } from "node:fs";
import { expect, fresh, test } from "./support/test";

const HOSTILE = [`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `=HYPERLINK("https://x")`, `{{7*7}} \u202Egnp.exe \u200B`, `'; | where 1==1 \\`];

test("many at once: tags for all, deletion with a result for each, a locked one is named", async ({ portal, server }) => {
  const group = await server.group(fresh("bulk"));
  for (const name of ["one", "two"]) await server.identity(group, name);
  // A type that has no screens of its own.
  const container = { namespace: fresh("schemas"), storageAccountContainerUrl: "https://plant.blob.core.windows.net/schemas" };
  await server.call("PUT", `${group}/providers/Microsoft.DeviceRegistry/schemaRegistries/three?api-version=2026-03-01-preview`, { location: "westeurope", identity: { type: "SystemAssigned" }, properties: container });
  await server.call("PUT", `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/two/providers/Microsoft.Authorization/locks/keep?api-version=2020-05-01`, { properties: { level: "CanNotDelete" } });
  const page = await portal(`/resource${group}/overview`);
  await page.getByRole("link", { name: "three" }).click();
  await expect(page.getByText("plant.blob.core.windows.net")).toBeVisible();
  await page.goBack();
  await page.getByRole("checkbox", { name: "Mark all rows of this page" }).check();
  await page.getByRole("button", { name: "Assign tags" }).click();
  const pane = page.getByRole("dialog");
  await pane.getByLabel("Name of tag 1").fill("line");
  await pane.getByLabel("Value of tag 1").fill("4");
  await pane.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("gridcell", { name: "line: 4" })).toHaveCount(3);
  await page.getByRole("button", { name: "Delete marked" }).click();
  const dialog = page.getByRole("alertdialog");
  await dialog.getByRole("textbox").fill("delete");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("link", { name: "one" })).toHaveCount(0);
  await expect(page.getByRole("link", { name: "two" })).toBeVisible();
  await page.getByRole("button", { name: /^Notifications/ }).click();
  const note = page.getByRole("article", { name: "Delete 3 resources" });
  await expect(note).toContainText("ScopeLocked");
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("link", { name: "two" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "two", exact: true })).toBeVisible();
  const blocked = page.getByRole("button", { name: "Delete", exact: true });
  await expect(blocked).toHaveAttribute("aria-disabled", "true");
  await blocked.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText('The lock "keep" at two keeps it')).toBeVisible();
});

test("pages of 50, kept in the address; the count is of all", async ({ portal, server }) => {
  const group = await server.group(fresh("pages"));
  for (let at = 0; at < 60; at += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, one) => server.identity(group, `id-${String(at + one).padStart(3, "0")}`)));
  }
  const page = await portal(`/resource${group}/overview`);
  await expect(page.getByText("1 to 50 of 60")).toBeVisible();
  await page.getByRole("button", { name: "Next >" }).click();
  await expect(page.getByText("51 to 60 of 60")).toBeVisible();
  await expect(page).toHaveURL(/page=2/);
  await page.reload();
  await expect(page.getByRole("link", { name: "id-059" })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("link", { name: "id-000" })).toBeVisible();
  // An export has the other page too.
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export to CSV" }).click();
  expect(readFileSync(await (await saving).path(), "utf8").trim().split("\r\n")).toHaveLength(61);
  // Typed slowly, so that each key comes when the one before takes effect, and with a choice before the last one did.
  const box = page.getByRole("searchbox", { name: "Filter for any field..." });
  await box.pressSequentially("id-03", { delay: 305 });
  await box.press("Backspace");
  await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();
  await expect(page.getByText("1 to 50 of 60")).toBeVisible();
  await expect(box).toHaveValue("id-0");
  await expect(page).toHaveURL(/filter=id-0&sort=name$/);
  await box.fill("id-03");
  await expect(page.getByText("1 to 10 of 10")).toBeVisible();
  await expect(page).toHaveURL(/filter=id-03&sort=name$/);
});

test("hostile text is text: in tags, notes of locks, descriptions, searches, and in an export", async ({ portal, server }) => {
  const group = await server.group(fresh("hostile"));
  const identity = await server.identity(group, "uami");
  const tags = Object.fromEntries(HOSTILE.map((value, at) => [`tag${at}`, value]));
  await server.call("PATCH", `${identity.id}?api-version=2023-01-31`, { tags });
  for (const [at, notes] of HOSTILE.entries()) {
    await server.call("PUT", `${identity.id}/providers/Microsoft.Authorization/locks/lock${at}?api-version=2020-05-01`, { properties: { level: "CanNotDelete", notes } });
  }
  const page = await portal(`/resource${identity.id}/locks`);
  for (const text of HOSTILE) await expect(page.getByRole("gridcell", { name: text })).toBeVisible();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export to CSV" }).click();
  const lines = readFileSync(await (await saving).path(), "utf8").trim().split("\r\n");
  expect(lines).toHaveLength(1 + HOSTILE.length);
  expect(lines.every((line) => !/(^|,)"?[=+\-@]/.test(line))).toBe(true);
  await page.getByRole("link", { name: "Tags", exact: true }).click();
  for (const [at, text] of HOSTILE.entries()) await expect(page.getByLabel(`Value of tag ${at + 1}`)).toHaveValue(text);
  await page.getByRole("link", { name: "JSON view" }).click();
  await expect(page.getByLabel("JSON of uami")).toContainText("<img src=x onerror=alert(1)>");
  await page.goto(`${server.origin}/portal/groups?filter=${encodeURIComponent(HOSTILE[4] ?? "")}`);
  await expect(page.getByText("Nothing matches these filters.")).toBeVisible();
  expect(await page.locator("img, script:not([src])").count()).toBe(0);
});

test("the activity log of a resource has what was done to it", async ({ portal, server }) => {
  const namespace = await server.namespace(await server.group(fresh("log")), fresh("ns"));
  const page = await portal(`/resource${namespace}/activity`);
  const row = page.getByRole("row", { name: /policies.*Succeeded/i }).first();
  await expect(row).toBeVisible();
  await row.getByRole("button").first().click();
  const pane = page.getByRole("dialog");
  await expect(pane.getByText("Microsoft.DeviceRegistry/namespaces/credentials/policies/write", { exact: true }).first()).toBeVisible();
  await pane.getByRole("tab", { name: "JSON" }).click();
  await expect(pane.getByLabel(/^JSON of/)).toContainText('"correlationId"');
});

test("a list is filtered by what its rows have, and walked by the keys of a grid", async ({ portal, server }) => {
  const word = fresh("grid");
  const name = (at: string) => `${word}-${at}`;
  for (const [at, line] of [["a", "4"], ["b", "it's 5"], ["c", "4"]] as const) {
    await server.call("PUT", `${server.subscription}/resourceGroups/${name(at)}?api-version=2021-04-01`, { location: "westeurope", tags: { [word]: line } });
    await server.identity(`${server.subscription}/resourceGroups/${name(at)}`, `${word}-id-${at}`);
  }
  const page = await portal(`/groups?filter=${word}`);
  const grid = page.getByRole("grid", { name: "Resource groups" });
  await expect(grid.getByRole("link")).toHaveCount(3);
  await page.getByRole("combobox", { name: "Tag" }).click();
  await page.getByRole("option", { name: `${word}: it's 5` }).click();
  await expect(grid.getByRole("link")).toHaveCount(1);
  await expect(grid.getByRole("link", { name: name("b") })).toBeVisible();
  await page.reload();
  await expect(grid.getByRole("link", { name: name("b") })).toBeVisible();
  await page.getByRole("button", { name: `Tag: ${word}: it's 5, remove this filter` }).click();
  await expect(grid.getByRole("link")).toHaveCount(3);

  await page.goto(`${server.origin}/portal/identities?filter=${word}&f.group=${name("a")}`);
  const rows = page.getByRole("grid", { name: "Managed Identities" });
  await expect(rows.getByRole("link")).toHaveCount(1);
  await page.goto(`${server.origin}/portal/identities?filter=${word}`);
  await expect(rows.getByRole("link")).toHaveCount(3);
  // One stop of the Tab key; arrows from there.
  await rows.getByRole("checkbox", { name: "Mark all rows of this page" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await expect(rows.getByRole("link", { name: `${word}-id-a` })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(rows.getByRole("gridcell", { name: name("a"), exact: true })).toBeFocused();
  await page.keyboard.press("Space");
  await expect(rows.getByRole("checkbox", { name: `Mark ${word}-id-a` })).toBeChecked();
  await page.keyboard.press("Control+End");
  await page.keyboard.press("Home");
  await expect(rows.getByRole("checkbox", { name: `Mark ${word}-id-c` })).toBeFocused();
  await page.keyboard.press("Control+a");
  await expect(page.getByText("3 marked")).toBeVisible();
  await page.keyboard.press("Tab");
  expect(await rows.evaluate((element) => element.contains(document.activeElement))).toBe(false);
  await page.keyboard.press("Shift+Tab");
  await expect(rows.getByRole("checkbox", { name: `Mark ${word}-id-c` })).toBeFocused();
});
