/** Signing in and out, on the server's own pages. */

import { expect, fresh, looksGood, test } from "./support/test";
import { fillIn } from "./support/signIn";
import { open } from "./support/steps";

test("a wrong password tells nothing, the right one leads where one wanted to go, and signing out ends every window", async ({ portal, server }) => {
  const group = await server.group(fresh("deep"));
  const person = await server.person(fresh("person"), [["Reader", group]]);
  const page = await portal(`/resource${group}/overview`, person);
  const other = await page.context().newPage();
  await other.goto(`${server.origin}/portal/resource${group}/tags`);
  await expect(other.getByRole("heading", { level: 1 })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  expect(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).not.toContain("eyJ");
  expect(await page.evaluate(() => document.cookie)).toBe("");
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/portal\/signed-out/);
  await expect(other).toHaveURL(/\/portal\/signed-out/);
  expect(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("ferrohub.recent")))).toEqual([]);
  const anew = await page.context().newPage();
  await anew.goto(`${server.origin}/portal/resource${group}/tags`);
  const sentences: string[] = [];
  for (const name of [person.userName, "nobody@plant.example"]) {
    await fillIn(anew, { userName: name, password: "wrong" });
    sentences.push(await anew.getByRole("alert").innerText());
  }
  expect(sentences[0]).toBe(sentences[1]);
  await fillIn(anew, person);
  await expect(anew).toHaveURL(`${server.origin}/portal/resource${group}/tags`);
  await expect(anew.getByRole("heading", { level: 1 })).toBeVisible();
});

test("whoever signs in where another's session ended sees nothing of what that one entered, and sends nothing of what was under way", async ({ portal, server }) => {
  const group = await server.group(fresh("mine"));
  const next = await server.person(fresh("next"), [["Contributor", group]]);
  const page = await portal("/create/identity");
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  await name.fill("of-the-first");
  const path = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/left-over`;
  // A deployment of two steps, the second of which was not sent when the session ended.
  await page.evaluate((left) => {
    const steps = [{ title: "left over", method: "PUT", path: `${left}?api-version=2023-01-31`, body: { location: "westeurope" }, state: "waiting" }];
    sessionStorage.setItem("ferrohub.deployments", JSON.stringify([{ id: crypto.randomUUID(), title: "left over", steps, began: Date.now(), seen: false }]));
  }, path);
  await page.context().clearCookies();
  await page.reload();
  await fillIn(page, next);
  await expect(page.getByRole("button", { name: `Account of ${next.userName.split("@")[0]}` })).toBeVisible();
  await expect(name).toHaveValue("");
  await page.getByRole("button", { name: /^Notifications/ }).click();
  await expect(page.getByText("Nothing was begun in this window.")).toBeVisible();
  expect((await server.call("GET", `${path}?api-version=2023-01-31`, undefined, { any: true })).status).toBe(404);
});

test("two who are signed in in windows of one browser keep apart what each looked at", async ({ portal, server }) => {
  const [ofFirst, ofSecond] = [await server.group(fresh("of-first")), await server.group(fresh("of-second"))];
  const people = [await server.person(fresh("first"), [["Reader", server.subscription]]), await server.person(fresh("second"), [["Reader", server.subscription]])] as const;
  const nameOf = (group: string) => group.split("/").at(-1) ?? "";
  const first = await portal(`/resource${ofFirst}/overview`, people[0]);
  await first.context().clearCookies();
  const second = await first.context().newPage();
  await second.goto(`${server.origin}/portal/resource${ofSecond}/overview`);
  await fillIn(second, people[1]);
  await expect(second.getByRole("heading", { level: 1, name: nameOf(ofSecond) })).toBeVisible();
  // The first one's window is still open, and goes on; nothing of it is loaded anew.
  await first.getByRole("link", { name: "Tags", exact: true }).click();
  await open(first, nameOf(ofFirst));
  for (const [page, mine, other] of [[first, ofFirst, ofSecond], [second, ofSecond, ofFirst]] as const) {
    await page.getByRole("banner").getByRole("link", { name: "Ferrohub" }).click();
    await expect(page.getByRole("main").getByRole("link", { name: nameOf(mine) })).toBeVisible();
    await expect(page.getByRole("main").getByText(nameOf(other))).toHaveCount(0);
  }
  const kept = await second.evaluate(() => Object.entries(localStorage).filter(([key]) => key.startsWith("ferrohub.recent")).sort());
  expect(Object.fromEntries(kept)).toEqual({ [`ferrohub.recent.${people[0].objectId}`]: JSON.stringify([ofFirst]), [`ferrohub.recent.${people[1].objectId}`]: JSON.stringify([ofSecond]) });
});

test("a link signs in once, where the portal is, and a password is chosen behind the next one", async ({ newcomer, server }) => {
  const link = server.link();
  expect(link).toContain(`${server.origin}/sign-in-link?ticket=`);
  const page = await newcomer();
  await page.goto(link);
  await expect(page.getByText("as owner@localhost, by a link that does so once.")).toBeVisible();
  await looksGood(page, "sign-in by a link");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).toHaveURL(`${server.origin}/portal/`);
  await expect(page.getByRole("button", { name: /^Account of/ })).toBeVisible();
  // Another browser, with the same link: somebody read it over a shoulder.
  const thief = await newcomer();
  await thief.goto(link);
  await expect(thief.getByRole("alert")).toContainText("This link was used already");
  const second = server.link();
  await thief.goto(second);
  await thief.getByLabel("New password", { exact: true }).fill("Correct-Horse-9");
  await thief.getByLabel("New password again").fill("Correct-Horse-8");
  await thief.getByRole("button", { name: "Set the password and sign in" }).click();
  await expect(thief.getByRole("alert")).toContainText("The two passwords differ.");
  await thief.getByLabel("New password", { exact: true }).fill("Correct-Horse-9");
  await thief.getByLabel("New password again").fill("Correct-Horse-9");
  await thief.getByRole("button", { name: "Set the password and sign in" }).click();
  await expect(thief.getByRole("heading", { level: 1, name: "Home", exact: true })).toBeVisible();
  const third = await newcomer();
  await third.goto(`${server.origin}/portal/groups`);
  await fillIn(third, { userName: "owner@localhost", password: "Correct-Horse-9" });
  await expect(third.getByRole("heading", { level: 1, name: "Resource groups", exact: true })).toBeVisible();
});
