// Looks at the site as visitors do: home, section, package, search, at phone and desktop width, light and dark.
// Fails on a console error, a page wider than its screen, or an answer that is not 200.
//   node tests/browser/screenshots.js http://localhost:8080 docs/screenshots
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [site = "http://localhost:8080", folder = "docs/screenshots"] = process.argv.slice(2);
const pages = {
  home: "/",
  section: "/section/graphics",
  package: process.env.PACKAGE ?? "/package/gimp",
  search: "/search?q=image+viewer",
};
const screens = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } };

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const faults = [];
for (const [screen, viewport] of Object.entries(screens)) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport, colorScheme });
    for (const [name, path] of Object.entries(pages)) {
      const page = await context.newPage();
      const at = `${name} ${screen} ${colorScheme}`;
      page.on("console", (message) => message.type() === "error" && faults.push(`${at}: ${message.text()}`));
      page.on("pageerror", (error) => faults.push(`${at}: ${error}`));
      const answer = await page.goto(site + path, { waitUntil: "load" });
      if (answer.status() !== 200) faults.push(`${at}: ${path} answered ${answer.status()}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) faults.push(`${at}: ${overflow} px wider than the screen`);
      await page.screenshot({ path: `${folder}/${name}-${screen}-${colorScheme}.png` });
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
faults.forEach((fault) => console.error(fault));
console.log(`${Object.keys(pages).length * Object.keys(screens).length * 2} screenshots in ${folder}, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
