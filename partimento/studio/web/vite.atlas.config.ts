import { defineConfig } from "vite";

/** <partimento-atlas> as one classic script, which a map's page holds. */
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../page",
    emptyOutDir: false,
    target: "es2023",
    lib: { entry: "src/atlas/element.ts", name: "partimentoAtlas", formats: ["iife"], fileName: () => "atlas.js" },
  },
});
