import { defineConfig } from "vite";

/** <partimento-player> as one classic script, for other people's pages and for takes that are exported as a page. */
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../page",
    emptyOutDir: false,
    target: "es2023",
    lib: { entry: "src/player/element.ts", name: "partimento", formats: ["iife"], fileName: () => "player.js" },
  },
});
