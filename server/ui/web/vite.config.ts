// The build: one script, one style sheet, one worker, with names that stay the same; no address but ours in any of them.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

const OUT = "../static";

/** The digest of all sources: the test that the built files are fresh computes the same one. */
function digest(folder: string): string {
  const hash = createHash("sha256");
  for (const file of sources(folder).sort()) {
    hash.update(file + "\n");
    hash.update(readFileSync(join(folder, file)));
  }
  return hash.digest("hex");
}

function sources(folder: string, below = ""): string[] {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const path = below ? `${below}/${entry.name}` : entry.name;
    if (entry.name === "node_modules" || entry.name === "package-lock.json" || entry.name.startsWith(".")) return [];
    return entry.isDirectory() ? sources(folder, path) : [path];
  });
}

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      output: { entryFileNames: "app.js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "layout.js" } } },
  plugins: [
    { name: "digest", closeBundle: () => writeFileSync(`${OUT}/sources.sha256`, digest(".") + "\n") },
  ],
});
