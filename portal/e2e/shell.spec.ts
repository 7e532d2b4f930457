import { expect, fresh, test } from "./support/test";

const NAMES: [string, string][] = [
  ["Azure Device Registry", "Namespaces"],
  ["Resource groups", "Resource groups"],
  ["Managed Identities", "Managed Identities"],
  ["Subscriptions", "Subscriptions"],
  ["All resources", "All resources"],
];

test("search finds services by their names, with the keyboard alone", async ({ portal }) => {
  const page = await portal("/");
  for (const [name, title] of NAMES) {
    await page.getByRole("heading", { level: 1 }).focus();
    await page.keyboard.press("g");
    await page.keyboard.press("/");
    await expect(page.getByRole("combobox", { name: /Search resources/ })).toBeFocused();
    await page.keyboard.type(name);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { level: 1, name: title, exact: true })).toBeFocused();
    await expect(page).toHaveTitle(`${title} - Ferrohub`);
  }
});

test("search finds resources by a part of their name, whatever stands in it", async ({ portal, server }) => {
  const name = fresh("gesucht");
  await server.group(name);
  const page = await portal("/");
  const search = page.getByRole("combobox", { name: /Search resources/ });
  await search.fill("esucht");
  await expect(page.getByRole("option", { name: new RegExp(name) })).toBeVisible();
  await search.fill("' | where 1 == 1 //\\");
  await expect(page.getByRole("option", { name: "Nothing found" })).toBeVisible();
  await search.fill(name);
  await page.getByRole("option", { name: new RegExp(name) }).click();
  await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
});

test("what is typed into the search stays while a page comes late", async ({ portal, server }) => {
  const name = fresh("late");
  const group = await server.group(name);
  const page = await portal(`/resource${group}/overview`);
  // The next page's own code takes its time.
  let go = () => {};
  const gone = new Promise<void>((resolve) => (go = resolve));
  await page.route(/\/assets\/.*\.js$/, async (route) => (await gone, route.fallback()));
  await page.getByRole("link", { name: "Tags", exact: true }).click();
  const search = page.getByRole("combobox", { name: /Search resources/ });
  await search.fill(name);
  go();
  await expect(page.getByRole("button", { name: "Apply", exact: true })).toBeVisible();
  await expect(search).toBeFocused();
  await page.getByRole("option", { name: new RegExp(`${name}(?!\\w)`) }).click();
  await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeFocused();
  await expect(search).toHaveValue("");
});

test("an address is a state: filter, order, Back and reload", async ({ portal, server }) => {
  const word = fresh("address");
  for (const at of ["a", "b", "c"]) await server.group(`${word}-${at}`);
  const page = await portal(`/groups?filter=${word}`);
  await expect(page.getByRole("link", { name: `${word}-a` })).toBeVisible();
  await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();
  await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();
  await expect(page.getByRole("row").nth(1)).toContainText(`${word}-c`);
  await page.reload();
  await expect(page.getByRole("row").nth(1)).toContainText(`${word}-c`);
  await page.getByRole("link", { name: `${word}-b` }).click();
  await expect(page.getByRole("heading", { level: 1, name: `${word}-b` })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("row").nth(1)).toContainText(`${word}-c`);
});

test("a long operation is begun once, is in the bell, goes on over a reload, and is only looked at by a copy of the window", async ({ portal, server }) => {
  const group = await server.group(fresh("slow"));
  const name = fresh("id");
  const page = await portal("/create/identity");
  // The server next door is quick: it answers as one that is not.
  let asked = 0;
  let begun = 0;
  let free = false;
  await page.context().route(new RegExp(`userAssignedIdentities/${name}\\?`), async (route) => {
    if (route.request().method() !== "PUT") return route.fallback();
    begun += 1;
    await route.fulfill({ status: 202, headers: { "location": `${server.origin}/slow-operation`, "retry-after": "1" } });
  });
  await page.context().route(/slow-operation/, async (route) => {
    asked += 1;
    await route.fulfill({ status: free ? 200 : 202, headers: { "retry-after": "1" } });
  });
  await page.getByRole("combobox", { name: "Resource group" }).click();
  await page.getByRole("option", { name: group.split("/").pop() ?? "" }).click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
  await page.getByRole("button", { name: "Review + create" }).click();
  // Twice at once, before the page has gone on.
  const create = page.getByRole("button", { name: "Create", exact: true });
  await expect(create).toBeEnabled();
  await create.evaluate((button: HTMLElement) => [button.click(), button.click()]);
  await expect(page.getByRole("heading", { name: /in progress/ })).toBeVisible();
  // A window that the browser opens so has a copy of what this one keeps.
  const opened = page.waitForEvent("popup");
  await page.evaluate(() => void window.open(location.href));
  const copy = await opened;
  await copy.getByRole("button", { name: /^Notifications/ }).click();
  await expect(copy.getByRole("article", { name: `Identity ${name}` })).toContainText("Another window has it");
  await copy.close();
  await expect.poll(() => asked).toBeGreaterThan(1);
  free = true;
  await page.reload();
  await expect(page.getByRole("heading", { name: /complete/ })).toBeVisible();
  expect(begun).toBe(1);
  await page.getByRole("button", { name: /^Notifications/ }).click();
  await expect(page.getByRole("article", { name: `Identity ${name}` })).toContainText("Succeeded");
});

test("an address that leads nowhere says so", async ({ portal }) => {
  const page = await portal("/nonsense?x=<img src=x onerror=alert(1)>");
  await expect(page.getByRole("heading", { name: "No such page" })).toBeVisible();
  await page.goto(page.url().replace("/nonsense", "/resource/subscriptions/nobody/resourceGroups/nothing/overview"));
  await expect(page.getByRole("alert").first()).toContainText(/malformed or invalid/);
});

test("a screen whose file does not arrive says so, and is there once it does", async ({ portal }) => {
  const page = await portal("/");
  const files = /\/assets\/List-[^/]+\.js$/;
  await page.context().route(files, (route) => route.abort());
  await page.getByRole("link", { name: "Resource groups", exact: true }).first().click();
  const broken = page.getByRole("main").getByRole("heading", { name: "This page could not be shown" });
  await expect(broken).toBeFocused();
  await expect(page).toHaveTitle("This page could not be shown - Ferrohub");
  await page.context().unroute(files);
  await page.getByRole("button", { name: "Load again" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Resource groups", exact: true })).toBeVisible();
});
