import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Puts a `.gz` beside each asset, which the server sends to whoever takes it. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    // Only what lies on disk is final: Vite still edits chunks after `generateBundle`.
    writeBundle(options, bundle) {
      for (const fileName of Object.keys(bundle)) {
        if (!/\.(js|css)$/.test(fileName)) continue;
        const path = join(options.dir ?? ".", fileName);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

// `base: "./"` makes every address relative to `<base href>`, which the server sets to its --base-path.
export default defineConfig({
  base: "./",
  plugins: [svelte(), packed()],
  resolve: process.env.VITEST ? { conditions: ["browser"] } : {},
  worker: { format: "es" },
  build: {
    outDir: "../src/kiseki/server/static",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  test: { environment: "node", include: ["test/**/*.test.ts"], setupFiles: ["test/setup.ts"] },
});
