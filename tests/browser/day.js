// A visitor's day and a developer's, on one development server: a review is posted, seen and found again under "My
// reviews"; one with a picture, whose thumbnail appears, and one with a picture that is none; an address that leads nowhere; a build that breaks and is mended while a page is open; a handler that panics.
//   node tests/browser/day.js http://localhost:8080 APP_FOLDER SCREENSHOTS
// APP_FOLDER is the packages app the server watches; its sources are put back at the end.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [site, app, folder = "target/browser/screenshots"] = process.argv.slice(2);
const PATIENCE_MS = 60_000;
mkdirSync(folder, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const faults = [];
let steps = 0;

const check = (what, holds) => {
  steps += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
  if (!holds) faults.push(what);
};

const look = async (page, name) => {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${name}: nothing is wider than the screen`, overflow <= 0);
  await page.screenshot({ path: `${folder}/${name}.png` });
};

// What the overlay says, as a person reads it; null when there is none.
const overlay = (page) => page.evaluate(() => document.querySelector("nearside-overlay")?.shadowRoot?.textContent ?? null);
const overlaySays = async (page, text) => {
  await page.waitForFunction((text) => document.querySelector("nearside-overlay")?.shadowRoot?.textContent?.includes(text), text, { timeout: PATIENCE_MS });
  return overlay(page);
};

const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
const page = await context.newPage();
const complaints = [];
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));

// A visitor.
await page.goto(`${site}/package/vim`);
const words = `Found it at once. ${Date.now()}`;
await page.fill('input[name="author"]', "Ada");
await page.check('input[name="rating"][value="5"]');
await page.fill('textarea[name="body"]', words);
await Promise.all([page.waitForURL(/\/package\/vim#/), page.click('button:has-text("Post the review")')]);
check("the review stands on the package's page at once", await page.getByText(words).isVisible());
await look(page, "review-posted");
await page.click('a:has-text("My reviews")');
check("it is among one's own reviews", await page.getByText(words).isVisible());
await look(page, "my-reviews");
const stranger = await browser.newContext();
const theirs = await stranger.newPage();
await theirs.goto(`${site}/my/reviews`);
check("nobody else has it there", !(await theirs.getByText(words).isVisible()) && (await theirs.getByText("no reviews").isVisible()));

// With a picture.
const pictures = `${app}/tests/pictures`;
const write = async (body, picture) => {
  await page.goto(`${site}/package/vim`);
  await page.fill('input[name="author"]', "Ada");
  await page.check('input[name="rating"][value="4"]');
  await page.fill('textarea[name="body"]', body);
  await page.setInputFiles('input[name="picture"]', `${pictures}/${picture}`);
  await page.click('button:has-text("Post the review")');
  await page.waitForLoadState();
};
const looks = async (name, schemes, widths) => {
  for (const colorScheme of schemes) {
    for (const width of widths) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await look(page, `${name}-${width < 600 ? "phone" : "desktop"}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 390, height: 844 });
};
for (const [body, picture] of [["The view from my desk while it builds.", "evening.jpg"], ["A window of it.", "window.png"], ["Held upright.", "held-upright.jpg"]]) {
  await write(body, picture);
  check(`${picture}: the review stands on the page at once`, await page.getByText(body).isVisible());
  const shown = page.locator("#reviews li", { hasText: body }).locator("img");
  for (const until = Date.now() + PATIENCE_MS; !(await shown.count()) && Date.now() < until; await page.waitForTimeout(100)) await page.reload();
  await shown.scrollIntoViewIfNeeded();
  await shown.evaluate((image) => image.decode());
  const [is, says] = await shown.evaluate((image) => [image.naturalWidth / image.naturalHeight, image.width / image.getAttribute("height")]);
  check(`${picture}: its thumbnail appears, and has a size before it arrives`, is > 0 && says > 0);
}
check("the one that was held upright stands upright", await page.locator("#reviews img").first().evaluate((image) => image.naturalHeight > image.naturalWidth));
await page.locator("#reviews").scrollIntoViewIfNeeded();
await looks("pictures", ["light", "dark"], [390, 1280]);
await page.goto(`${site}/`);
await page.locator(".cards img").last().scrollIntoViewIfNeeded();
await page.waitForFunction(() => [...document.querySelectorAll(".cards img")].every((image) => image.complete && image.naturalWidth));
await looks("home-pictures", ["light", "dark"], [390, 1280]);
await write("It will not be shown.", "bomb.png");
check("a picture bomb is refused with its reason", await page.getByText("900.0 megapixels").isVisible());
check("and the words are still in the form", (await page.inputValue('textarea[name="body"]')) === "It will not be shown.");
await page.locator("form.review").scrollIntoViewIfNeeded();
await looks("picture-refused", ["light", "dark"], [390, 1280]);
await write("The picture broke.", "damaged.png");
const told = page.getByText("Your picture is not shown.");
for (const until = Date.now() + PATIENCE_MS; Date.now() < until; await page.waitForTimeout(100)) {
  await page.goto(`${site}/my/reviews`);
  if (await told.count()) break;
}
check("a damaged one leaves the review, with a note to its author", await told.isVisible());
await looks("picture-damaged", ["dark"], [390]);
// The browser says so itself of the refused post, which is an answer like any other.
const grave = complaints.filter((complaint) => !complaint.includes("422"));
complaints.splice(0, complaints.length, ...grave);
check("no script or style complained", complaints.length === 0);
if (complaints.length) console.log(complaints.join("\n"));

const nowhere = await page.goto(`${site}/no/such/page`);
check("an address that leads nowhere says so", nowhere.status() === 404);
check("in the site's own look", await page.evaluate(() => document.styleSheets.length > 0 || document.querySelector("style") !== null));
await look(page, "not-found");

// A developer. Sources are changed in place, as an editor would.
const edited = new Map();
const edit = (file, change) => {
  const path = `${app}/${file}`;
  const before = readFileSync(path, "utf8");
  if (!edited.has(path)) edited.set(path, before);
  const after = change(before);
  if (after === before) throw new Error(`${file}: nothing to change`);
  writeFileSync(path, after);
};
const restore = () => edited.forEach((text, path) => writeFileSync(path, text));
try {
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto(`${site}/`);
  edit("pages/src/home.rs", (text) => `${text}\nfn half(\n`);
  const build = await overlaySays(page, "home.rs");
  check("a broken build is shown on the open page", /build failed/i.test(build) && build.includes("error"));
  await look(page, "broken-build");
  check("and the last good version is served meanwhile", (await page.evaluate(() => fetch("/").then((answer) => answer.status))) === 200);

  restore();
  edit("pages/src/layout.rs", (text) => text.replace("Rendered close to you", "Mended close to you"));
  // The server may have the page load once more than needed: what counts is where it settles.
  await page.waitForFunction(() => document.body?.innerText.includes("Mended close to you") && !document.querySelector("nearside-overlay"), null, { timeout: PATIENCE_MS });
  check("mended, the page renews itself and the overlay is gone", true);
  await look(page, "mended");

  edit("pages/src/sections.rs", (text) => text.replace(/(pub\(crate\) fn \w+\([^)]*\) -> Result \{\n)/, '$1    if true { panic!("the shelf is empty"); }\n'));
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; await page.waitForTimeout(100)) {
    if ((await page.goto(`${site}/sections`).catch(() => null))?.status() === 500) break;
  }
  // What is known of it is the page itself, or lies over the app's own error page.
  await page.waitForFunction(() => {
    const shown = (document.body?.innerText ?? "") + (document.querySelector("nearside-overlay")?.shadowRoot?.textContent ?? "");
    return shown.includes("the shelf is empty") && shown.includes("sections.rs");
  }, null, { timeout: PATIENCE_MS });
  check("a panic is shown with what it said and where it was", true);
  await look(page, "panic");
  restore();
  await page.waitForFunction(() => document.querySelector("ul, h1") && !document.querySelector("nearside-overlay") && !document.body.innerText.includes("the shelf is empty") && !document.title.includes("Not just now"), null, { timeout: PATIENCE_MS });
  check("mended, the page that failed renews itself", await page.getByRole("heading", { level: 1 }).isVisible());
} finally {
  restore();
}
await page.waitForTimeout(200);
await browser.close();
console.log(`${steps} checks, ${faults.length} faults; screenshots in ${folder}`);
process.exit(faults.length ? 1 : 0);
