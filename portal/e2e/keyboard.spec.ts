import type { Page } from "@playwright/test";
import { expect, fresh, test } from "./support/test";

/** Tab until what has the focus has this name. */
async function tabTo(page: Page, name: string | RegExp, most = 60): Promise<void> {
  const target = page.getByLabel(name).or(page.getByRole("button", { name })).or(page.getByRole("link", { name })).or(page.getByRole("tab", { name }));
  for (let at = 0; at < most; at += 1) {
    await page.keyboard.press("Tab");
    if (await target.evaluateAll((found) => found.includes(document.activeElement as HTMLElement))) return;
  }
  throw new Error(`${most} tabs did not reach ${name}`);
}

test("a namespace is made with the keyboard alone", async ({ portal, server }) => {
  const group = (await server.group(fresh("keys"))).split("/").pop() ?? "";
  const name = fresh("ns");
  const page = await portal("/namespaces");
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
  await page.keyboard.press("g");
  await page.keyboard.press(",");
  await expect(page.getByRole("button", { name: "Create", exact: true })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: /Create a Device Registry/ })).toBeFocused();
  await tabTo(page, "Resource group");
  await page.keyboard.type(group);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("combobox", { name: "Resource group" })).toHaveValue(group);
  await tabTo(page, /^Name/);
  await page.keyboard.type(name);
  await tabTo(page, /^Review \+ create$/);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("tab", { name: "Review + create" })).toHaveAttribute("aria-selected", "true");
  await tabTo(page, /^Create$/);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: /complete/ })).toBeFocused();
  await tabTo(page, "Go to resource");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
});

test("panes and dialogs hold the focus, Esc closes them, and the focus goes back", async ({ portal, server }) => {
  const namespace = await server.namespace(await server.group(fresh("focus")), fresh("ns"));
  const page = await portal(`/resource${namespace}/policies`);
  const create = page.getByRole("button", { name: "Create", exact: true });
  await expect(page.getByRole("link", { name: "default" })).toBeVisible();
  await create.focus();
  await page.keyboard.press("Enter");
  const pane = page.getByRole("dialog");
  await expect(pane).toBeVisible();
  for (let at = 0; at < 12; at += 1) {
    await page.keyboard.press("Tab");
    expect(await pane.evaluate((element) => element.contains(document.activeElement) || document.activeElement?.hasAttribute("data-tabster-dummy"))).toBe(true);
  }
  await pane.getByRole("textbox", { name: "Name" }).focus();
  await page.keyboard.press("Escape");
  await expect(pane).toHaveCount(0);
  await expect(create).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("button", { name: "Sync", exact: true })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByText("Mark policies in the list first.")).toBeVisible();
});

test("the theme is chosen and kept; narrow windows hide nothing", async ({ portal, server }) => {
  const namespace = await server.namespace(await server.group(fresh("theme")), fresh("ns"));
  const page = await portal(`/resource${namespace}/overview`);
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("radio", { name: "Dark" }).check();
  await page.getByRole("button", { name: "Close" }).click();
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect.poll(() => page.evaluate(() => document.documentElement.style.colorScheme)).toBe("dark");
  await page.setViewportSize({ width: 320, height: 700 });
  await expect(page.getByRole("link", { name: "Credential policies (Preview)" })).toBeVisible();
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wider).toBeLessThanOrEqual(1);
});

test("what is kept in the browser is no secret", async ({ portal, server }) => {
  const namespace = await server.namespace(await server.group(fresh("kept")), fresh("ns"));
  const page = await portal(`/resource${namespace}/overview`);
  await expect(page.getByRole("group", { name: "Policies" })).toContainText("1");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  expect(kept).not.toMatch(/eyJ[\w-]+\.|verifier|refresh/);
});
