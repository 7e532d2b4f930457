/** Steps that walks of the page have in common, in the words of Azure's own walks. */

import { expect, type Page, type Route } from "@playwright/test";

/** Searches for a service and opens what was found first. */
export async function searchFor(page: Page, words: string, title: string | RegExp): Promise<void> {
  const field = page.getByRole("combobox", { name: /Search resources/ });
  await field.fill(words);
  await field.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: title, exact: true })).toBeVisible();
}

/** Searches for a resource by its name and opens it. */
export async function open(page: Page, name: string): Promise<void> {
  await page.getByRole("combobox", { name: /Search resources/ }).fill(name);
  await page.getByRole("option", { name: new RegExp(`${name}(?!\\w)`) }).first().click();
  await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
}

/** The menu of a resource, at its left. */
export async function menu(page: Page, item: string): Promise<void> {
  await page.getByRole("navigation", { name: "Pages of the resource" }).getByRole("link", { name: item, exact: true }).click();
}

export async function chooseRole(page: Page, role: string): Promise<void> {
  await page.getByRole("searchbox", { name: /Search by role name/ }).fill(role);
  await page.getByRole("radio", { name: role, exact: true }).check();
  await page.getByRole("button", { name: "Next: Members" }).click();
}

/** Finds a member in the pane and selects it. */
export async function selectMember(page: Page, words: string, found: RegExp): Promise<void> {
  await page.getByRole("button", { name: "Select members" }).click();
  const pane = page.getByRole("dialog");
  await pane.getByRole("searchbox", { name: "Select" }).fill(words);
  await pane.getByRole("button", { name: found }).click();
  await pane.getByRole("button", { name: "Select", exact: true }).click();
}

export async function assign(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Review + assign", exact: true }).click();
  await page.getByRole("tab", { name: "Review + assign", selected: true }).waitFor();
  await page.getByRole("button", { name: "Review + assign", exact: true }).click();
  await expect(page.getByRole("heading", { name: /complete/ })).toBeVisible();
}

/** Create, and then Go to resource. */
export async function createAndGo(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("button", { name: "Go to resource" }).click();
  await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
}

/** A call that the page makes and that waits: whether it was made, and what lets it go on. */
export async function held(page: Page, address: RegExp, method: string): Promise<{ arrived: Promise<void>; release: () => void }> {
  let arrive: () => void = () => {};
  let release: () => void = () => {};
  const arrived = new Promise<void>((done) => (arrive = done));
  const free = new Promise<void>((done) => (release = done));
  const wait = async (route: Route) => {
    if (route.request().method() !== method) return route.fallback();
    arrive();
    await free;
    await route.continue();
    await page.unroute(address, wait);
  };
  await page.route(address, wait);
  return { arrived, release };
}
