import react from "@vitejs/plugin-react";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
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

/** Most bytes of a first load in gzip -9: what the page's files import of each other, with those of the screen and of the blade. */
const MOST = 290_000;

/** What a page begins with beside its own files: one of these, as its address says. */
const SHOWN: Record<string, string[]> = {
  "screens/devices/OfHub.tsx": ["screens/devices/HubDevices.tsx", "screens/devices/DeviceView.tsx"],
  "screens/devices/List.tsx": ["screens/devices/HubDevices.tsx", "screens/devices/RegistryDevices.tsx"],
};

interface Chunk {
  type: string;
  code: string;
  isEntry: boolean;
  imports: string[];
  moduleIds: string[];
}

/** Stops a build that has a page whose first load is larger than asked for (`docs/benchmarks.md`). */
function budget(): Plugin {
  return {
    name: "budget",
    generateBundle(_, bundle) {
      const chunks = new Map(Object.entries(bundle as unknown as Record<string, Chunk>).filter(([, chunk]) => chunk.type === "chunk"));
      const sizes = new Map([...chunks].map(([name, { code }]) => [name, gzipSync(code, { level: 9 }).length]));
      const of = (file: string) => [...chunks].find(([, { moduleIds }]) => moduleIds.some((id) => id.endsWith(`/src/${file}`)))?.[0] ?? this.error(`No chunk has ${file}.`);
      const load = (files: string[]): number => {
        const names = new Set([...chunks].filter(([, chunk]) => chunk.isEntry).map(([name]) => name).concat(files.map(of)));
        // A set is walked through with what is added meanwhile.
        for (const name of names) for (const next of chunks.get(name)?.imports ?? []) names.add(next);
        return [...names].reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
      };
      const loadsOf = (table: string) => [...readFileSync(new URL(table, import.meta.url), "utf8").matchAll(/import\("\.{1,2}\/([^"]+)"\)/g)].map(([, path = ""]) => path);
      const screens = loadsOf("src/screens/screens.ts").map((path) => [path.startsWith("frames/") ? `${path}.tsx` : `screens/${path}.tsx`]);
      const blades = loadsOf("src/screens/blades.ts").map((path) => ["frames/ResourcePage.tsx", `screens/${path}.tsx`]);
      const both = (files: string[]) => SHOWN[files.at(-1) ?? ""]?.map((more) => [...files, more]) ?? [files];
      const pages = [...screens, ...blades].flatMap(both).map((files) => ({ page: files.filter((file) => file !== "frames/ResourcePage.tsx").join(" with "), bytes: load(files) })).sort((a, b) => b.bytes - a.bytes);
      if (process.env["FERROHUB_PORTAL_SIZES"]) for (const { page, bytes } of pages) console.log(`${bytes} ${page}`);
      const large = pages.filter(({ bytes }) => bytes > MOST);
      if (large.length > 0) this.error(`The first load of a page has at most ${MOST} bytes (gzip -9): ${large.map(({ page, bytes }) => `${page} has ${bytes}`).join(", ")}. Let what it does not begin with come later (frames/later).`);
    },
  };
}

export default defineConfig({
  base: "/portal/",
  plugins: [react(), version(), budget()],
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
