import { defineConfig } from "vite";

/** The studio's page and that of the listening test. Addresses are relative, and nothing is inlined: the server's Content-Security-Policy allows no inline script. */
export default defineConfig({
  base: "./",
  build: {
    outDir: "../page",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rollupOptions: { input: ["index.html", "listen.html"] },
  },
});
