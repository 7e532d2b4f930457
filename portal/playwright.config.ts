import { defineConfig } from "@playwright/test";

/** Real browser, real server: `cargo xtask test` runs it. Each worker has a server of its own (`e2e/support`). */
export default defineConfig({
  testDir: "e2e",
  outputDir: process.env["FERROHUB_TEST_OUT"] ?? "../target/portal-e2e",
  workers: 2,
  fullyParallel: false,
  forbidOnly: true,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
  use: { viewport: { width: 1280, height: 860 }, screenshot: "only-on-failure", trace: "retain-on-failure", actionTimeout: 20_000 },
});
