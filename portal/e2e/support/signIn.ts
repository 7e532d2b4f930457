/** Signs in on the server's own page, as a person does. */

import { expect, type Page } from "@playwright/test";
import type { Person } from "./server";

/** Opens an address of the portal, which sends whoever is not signed in to the form, and fills it in. */
export async function signInAs(page: Page, address: string, who: Person): Promise<void> {
  await page.goto(address);
  await fillIn(page, who);
  await expect(page).toHaveURL(address);
}

/** Fills the form in and sends it. */
export async function fillIn(page: Page, who: Pick<Person, "userName" | "password">): Promise<void> {
  await page.getByLabel("User name", { exact: true }).fill(who.userName);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
}
