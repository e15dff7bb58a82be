import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Puts a `.gz` beside each asset, which the server sends to whoever takes it. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    generateBundle(_options, bundle) {
      for (const [fileName, file] of Object.entries(bundle)) {
        if (!/\.(js|css)$/.test(fileName)) continue;
        const source = gzipSync(file.type === "chunk" ? file.code : file.source, { level: 9 });
        this.emitFile({ type: "asset", fileName: `${fileName}.gz`, source });
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
  test: { environment: "jsdom", include: ["test/**/*.test.ts"], setupFiles: ["test/setup.ts"] },
});
