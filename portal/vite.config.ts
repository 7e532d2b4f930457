import react from "@vitejs/plugin-react";
import { createHash } from "node:crypto";
import { defineConfig, type Plugin } from "vite";

/** Server that `npm run dev` stands before: `FERROHUB_URL=https://localhost:8443 cargo xtask portal --dev`. */
const server = process.env["FERROHUB_URL"] ?? "https://localhost:8443";
/** What a running server answers beside the page. */
const served = /^\/(subscriptions|providers|tenants|metadata|v1\.0|beta|at|[^/]+\/oauth2)(\/|\?|$)/;

/** Writes `version.json`: a hash over all that was built, by which an open page sees that the server has another one. */
function version(): Plugin {
  return {
    name: "version",
    generateBundle(_, bundle) {
      const hash = createHash("sha256");
      for (const name of Object.keys(bundle).sort()) hash.update(name);
      this.emitFile({
        type: "asset",
        fileName: "version.json",
        source: JSON.stringify({ version: hash.digest("hex").slice(0, 16) }) + "\n",
      });
    },
  };
}

export default defineConfig({
  base: "/portal/",
  plugins: [react(), version()],
  build: {
    target: "es2022",
    sourcemap: false,
    // The page's content security policy has no `data:`, and no inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { [served.source]: { target: server, secure: false, changeOrigin: false } } },
  // Generous, for machines that do other things too: nothing here waits for a time to pass.
  test: { include: ["src/**/*.test.ts"], environment: "node", testTimeout: 120_000 },
} as Parameters<typeof defineConfig>[0]);
