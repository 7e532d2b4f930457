/** What every test of the page stands on, and what must hold at the end of each: no error on the console, nothing asked of a foreign
 * host, nothing that axe finds serious, in light and in dark. */

import AxeBuilder from "@axe-core/playwright";
import { expect, test as base, type BrowserContext, type BrowserContextOptions, type Page } from "@playwright/test";
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { Server, type Person } from "./server";
import { signInAs } from "./signIn";

interface Worker {
  server: Server;
}

interface Each {
  /** Opens a page of the portal as the owner, or as somebody else. */
  portal: (path: string, who?: Person) => Promise<Page>;
  /** A window of a browser in which nobody is signed in; held to the same as those of `portal`. */
  newcomer: (options?: BrowserContextOptions) => Promise<Page>;
  /** What both stand on. */
  windows: Windows;
}

interface Windows {
  open: (options?: BrowserContextOptions) => Promise<Page>;
}

export const test = base.extend<Each, Worker>({
  server: [
    async ({}, use) => {
      const server = new Server();
      await server.start();
      server.trust();
      await use(server);
      await server.end();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  launchOptions: [
    async ({ server }, use) => {
      // Chromium's sandbox refuses to run as root, which CI is.
      const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
      const env = { ...(process.env as Record<string, string>), HOME: server.home };
      await use({ executablePath: process.env["FERROHUB_TEST_CHROMIUM"] ?? "/usr/bin/chromium", args, env });
    },
    { scope: "worker" },
  ],
  windows: async ({ browser, server }, use, info) => {
    const contexts: BrowserContext[] = [];
    const complaints: string[] = [];
    const pages: Page[] = [];
    const open = async (options: BrowserContextOptions = {}): Promise<Page> => {
      const context = await browser.newContext({ viewport: info.project.use.viewport ?? null, permissions: ["clipboard-read", "clipboard-write"], ...options });
      contexts.push(context);
      await serveBuild(context, server);
      const page = await context.newPage();
      pages.push(page);
      listen(page, server.origin, complaints);
      return page;
    };
    await use({ open });
    const last = pages.at(-1);
    if (last && !last.isClosed() && info.status === info.expectedStatus) await looksGood(last, info.title);
    for (const context of contexts) await context.close();
    expect(complaints).toEqual([]);
  },
  newcomer: async ({ windows }, use) => use(windows.open),
  portal: async ({ server, windows }, use) => {
    await use(async (path, who) => {
      const page = await windows.open();
      await signInAs(page, `${server.origin}/portal${path}`, who ?? (await server.ownerPerson()));
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      return page;
    });
  },
});

export { expect };

/** Gives the windows a build of the page in place of the one that is in the program: `FERROHUB_TEST_PORTAL` is its folder. What the page may do
 * is still what the program says. */
async function serveBuild(context: BrowserContext, server: Server): Promise<void> {
  const folder = process.env["FERROHUB_TEST_PORTAL"];
  if (!folder) return;
  const entry = /assets\/index-[\w-]+\.js/.exec(readFileSync(join(folder, "index.html"), "utf8"))?.[0] ?? "";
  await context.route(`${server.origin}/portal/{assets/**,version.json,icon.svg}`, async (route) => {
    const wanted = new URL(route.request().url()).pathname.slice("/portal/".length);
    const file = join(folder, wanted);
    const type = { contentType: KINDS[extname(file)] ?? "text/html" };
    if (existsSync(file)) return route.fulfill({ ...type, body: readFileSync(file) });
    // The page of the program, which no route sees where it comes by a redirect, asks for its own files: the first of them leads to the build.
    return route.fulfill({ ...type, body: wanted.startsWith("assets/index-") ? `import "/portal/${entry}";` : "" });
  });
}

const KINDS: Record<string, string> = { ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml" };

/** Notes what no test may cause. */
function listen(page: Page, origin: string, complaints: string[]): void {
  page.on("pageerror", (error) => complaints.push(`error: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    // A status that is not 2xx is in the console by itself; the tests look at what the page makes of it.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith("blob:")) complaints.push(`foreign: ${url}`);
  });
}

/** Axe on the page as it is, light and dark; pictures are kept and looked at. */
export async function looksGood(page: Page, name: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    // Colours fade from one to the other.
    await page.waitForTimeout(400);
    const found = await new AxeBuilder({ page })
      // Focus guards of the component library, which axe takes for content (microsoft/tabster issue 288).
      .exclude("[data-tabster-dummy]")
      .analyze();
    const serious = found.violations.filter((violation) => violation.impact === "serious" || violation.impact === "critical");
    expect(serious.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`)).toEqual([]);
    await page.screenshot({ path: `${process.env["FERROHUB_TEST_OUT"] ?? "../target/portal-e2e"}-pictures/${name.replace(/[^\w]+/g, "-")}-${colorScheme}.png` });
  }
}

let count = 0;

/** A name that no other test has. */
export function fresh(word: string): string {
  count += 1;
  return `${word}-${process.pid.toString(36)}${count}`;
}

/** Chooses in a drop-down. */
export async function choose(page: Page, field: string, option: string | RegExp): Promise<void> {
  await page.getByRole("combobox", { name: field, exact: true }).click();
  await page.getByRole("option", { name: option }).first().click();
}
