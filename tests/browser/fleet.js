// An operator's hour on the fleet page: a wrong token and the right one, a push watched to all nodes, a rollback by its button and
// the end of its hold, a canary rolled back by its button, a dead letter retried, a node that dies; by mouse, by keyboard, on a phone, without a script.
//   node tests/browser/fleet.js NEARSIDE APP_FOLDER SCREENSHOTS
// APP_FOLDER is the built probe app; origin and nodes are started on free ports, in a folder that is removed at the end.
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [nearside, app, folder = "target/browser/screenshots"] = process.argv.slice(2);
const PATIENCE_MS = 60_000;
const SITE = "probe.localhost";
const BUILT = "target/wasm32-wasip2/release/";
const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const HOSTILE = `<b onclick="x">Eve</b>`;
mkdirSync(folder, { recursive: true });
const data = mkdtempSync(join(tmpdir(), "nearside-fleet-"));

const faults = [];
let steps = 0;
const check = (what, holds) => {
  steps += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
  if (!holds) faults.push(what);
};
const rest = (ms) => new Promise((go) => setTimeout(go, ms));

// --- Origin and nodes

const children = [];
// Starts a process, and waits for so many addresses among what it prints.
const start = (name, args, addresses) =>
  new Promise((ready, fail) => {
    const child = spawn(nearside, args, { stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    const found = [];
    let log = "";
    child.stderr.on("data", (piece) => (log = (log + piece).slice(-4_000)));
    child.on("exit", () => found.length < addresses && fail(new Error(`${name} does not start:\n${log}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const address = line.match(/http:\/\/\S+$/)?.[0];
      if (address) found.push(address);
      if (found.length === addresses) ready({ child, addresses: found });
    });
  });
const token = join(data, "origin", "token");
const operate = (...args) =>
  execFileSync(nearside, [...args, "--origin", origin, "--token-file", token], { encoding: "utf8", env: { ...process.env, NEARSIDE_OPERATOR: "deploy@ci" } });

const { addresses: [origin] } = await start("origin", ["origin", "--listen", "127.0.0.1:0", "--data", join(data, "origin")], 1);
// A copy of the app, to be pushed again in another version.
const copy = join(data, "app");
cpSync(app, copy, { recursive: true, filter: (path) => !/\/(src|target|Cargo\.toml)$/.test(path) });
const manifest = readFileSync(join(copy, "nearside.toml"), "utf8");
for (const [, wasm] of manifest.matchAll(/target\/wasm32-wasip2\/release\/(\w+\.wasm)/g)) cpSync(join(app, "..", BUILT, wasm), join(copy, wasm));
const version = (n) => writeFileSync(join(copy, "nearside.toml"), `# ${n}\n${manifest.replaceAll(`../${BUILT}`, "")}`);
version(1);
operate("push", copy);
const places = { "zurich-1": "zrh", "frankfurt-1": "fra", "dublin-1": "dub" };
const nodes = [];
for (const [name, place] of Object.entries(places)) {
  nodes.push(await start(name, ["host", "--name", name, "--place", place, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", join(data, name), "--origin", origin, "--token-file", token, "--public-url", `https://${name}.example`], 2));
}
const ask = (node, path, method = "GET", body = "") =>
  new Promise((done) => {
    const { hostname, port } = new URL(nodes[node].addresses[0]);
    const request = http.request({ hostname, port, path, method, headers: { host: SITE, "content-length": Buffer.byteLength(body) } }, (answer) => {
      let text = "";
      answer.on("data", (piece) => (text += piece));
      answer.on("end", () => done({ status: answer.statusCode, text }));
    });
    request.on("error", () => done({ status: 0, text: "" }));
    request.end(body);
  });
for (const node of nodes.keys()) while ((await ask(node, "/pair")).status !== 200) await rest(50);

// Visitors: mostly hits, some pages that may not be kept, a write now and then.
let visiting = true;
const visit = async () => {
  for (let n = 0; visiting; n += 1) {
    const node = n % 5 < 3 ? 0 : (n % 5) - 2;
    if (n % 211 === 0) await ask(node, "/bump", "POST");
    else await ask(node, n % 13 === 0 ? "/clock" : n % 7 === 0 ? "/hashmap" : ["/pair", "/hello", "/portal"][n % 3]);
    await rest(4 + 10 * Math.abs(Math.sin(n / 400)));
  }
};
const visitors = visit();

// --- The browser

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
const complaints = [];
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));

const judge = async (page, name) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  check(`${name}: axe finds nothing serious`, grave.length === 0);
  violations.forEach(({ id, impact, nodes }) => console.log(`     ${impact} ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 4).join(", ")}`));
};
const look = async (page, name, whole = true) => {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${name}: nothing is wider than the screen`, overflow <= 0);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: whole });
};
const looks = async (name) => {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      const at = `${name}-${width < 600 ? "phone" : "desktop"}-${colorScheme}`;
      await look(page, at);
      await judge(page, at);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 1280, height: 900 });
};
const says = (selector, text) =>
  page.waitForFunction(([selector, text]) => document.querySelector(selector)?.innerText.includes(text), [selector, text], { timeout: PATIENCE_MS });
const card = page.locator("#releases article", { hasText: "probe" });
const arrival = (text) => says("#releases .arrival", text);

try {
  // The door.
  await page.goto(`${origin}/`);
  check("whoever is not signed in is asked for the token", (await page.getByLabel("Your token").isVisible()) && !(await page.locator("#nodes").count()));
  await judge(page, "door");
  const enter = async (page, shown, who = "Ada") => {
    await page.getByLabel("Your name").fill(who);
    await page.getByLabel("Your token").fill(shown);
    await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
  };
  await enter(page, "not-the-token-of-this-origin");
  check("a wrong token is refused, and says so", await page.getByRole("alert").getByText("not this origin's token").isVisible());
  check("and gives no cookie", (await context.cookies()).length === 0);
  await look(page, "fleet-door", false);
  // The browser says so itself of an answer with an error's status.
  complaints.splice(0);
  await enter(page, readFileSync(token, "utf8").trim());
  const [cookie] = await context.cookies();
  check("the right one lets in, with a cookie no script reads and no other site sends", cookie.httpOnly && cookie.sameSite === "Strict");

  // All is well.
  await says("#state", "all 3 nodes serve");
  await says("#live", "live");
  check("three rows, each with its place", (await page.locator("#nodes tbody tr").count()) === 3 && (await page.locator("#nodes .place").allInnerTexts()).sort().join() === "dub,fra,zrh");
  await page.waitForFunction(() => /\d/.test(document.querySelector(".tiles .big")?.innerText) && !document.querySelector(".tiles .big").innerText.startsWith("0"), null, { timeout: PATIENCE_MS });
  check("the tab's title tells how it is", (await page.title()).startsWith("all 3 nodes serve"));
  await says("#queries", "left");
  await rest(60_000);
  await looks("fleet");

  // A push, watched to all nodes. One takes its time.
  nodes[2].child.kill("SIGSTOP");
  version(2);
  operate("push", copy);
  await arrival("2 of 3 nodes");
  check("a push is watched: two nodes have it, the third has not", (await card.locator(".dot.full").count()) === 2);
  await card.screenshot({ path: `${folder}/fleet-push.png` });
  nodes[2].child.kill("SIGCONT");
  await arrival("3 of 3 nodes");
  check("and then all have it", (await card.locator(".dot.full").count()) === 3);
  await says("#log", "deploy@ci pushed the app probe");
  check("the log tells who pushed", true);

  // A rollback, by its button.
  const served = async () => (await card.locator("h3 .release").innerText()).trim();
  const before = await served();
  const wanted = (await card.locator(".history tr", { has: page.getByText("Roll back…") }).first().locator(".id").innerText()).trim();
  const row = card.locator(`.history tr[data-key="${wanted}"]`);
  await row.getByText("Roll back…").click();
  await rest(5_000);
  check("the question stays where it is while the page follows", await row.getByRole("button", { name: `Roll back to ${wanted}` }).isVisible());
  await look(page, "fleet-question", false);
  await row.getByRole("button", { name: `Roll back to ${wanted}` }).click();
  await says("#told", `the content of ${wanted} is published again`);
  await says("#releases .held", "Held");
  await arrival("3 of 3 nodes");
  check("the old content is out again, under a new number, at all nodes", (await served()) !== before);
  check("that releases are held is among what needs a hand", (await page.locator(".concerns").innerText()).includes("held since the rollback"));
  await look(page, "fleet-held");

  // The end of the hold, by keyboard.
  await page.locator(".held button").focus();
  await page.keyboard.press("Enter");
  await says("#told", "releases go on");
  await page.waitForFunction(() => !document.querySelector(".held"), null, { timeout: PATIENCE_MS });
  check("resumed by keyboard, nothing is held any more", true);
  await says("#log", "Ada rolled back probe");

  // A canary, rolled back by its button; and one promoted by keyboard.
  const canary = card.locator(".canary");
  version(3);
  operate("push", copy, "--canary", "dublin-1", "--canary-for", "3600");
  await says("#releases .canary", "Canary");
  await says("#releases .canary", "left");
  check("a canary says where it runs and what it waits for", (await canary.innerText()).includes("dublin-1"));
  await page.waitForFunction(() => {
    const [, requests] = document.querySelectorAll("#releases .beside tr");
    return requests && [...requests.querySelectorAll("td")].every((cell) => parseFloat(cell.innerText) > 0);
  }, null, { timeout: PATIENCE_MS });
  check("it is shown beside the rest, as both are asked", true);
  check("what all others have is another release", (await served()) !== (await canary.locator(".release").innerText()).trim());
  check("that it runs is among what needs a hand", (await page.locator(".concerns").innerText()).includes("a canary runs at dublin-1"));
  await looks("fleet-canary");
  await canary.getByText("Halt…").click();
  await rest(3_000);
  check("the question stays open while the page follows", await canary.getByRole("button", { name: "Halt it" }).isVisible());
  await look(page, "fleet-canary-question", false);
  await canary.getByRole("button", { name: "Halt it" }).click();
  await says("#told", "the canary is halted");
  await page.waitForFunction(() => !document.querySelector("#releases .canary"), null, { timeout: PATIENCE_MS });
  await arrival("3 of 3 nodes");
  check("halted by its button, its node has what all have", (await card.locator(".canary-ended").innerText()).includes("dublin-1") && (await card.locator(".dot.full").count()) === 3);
  await says("#log", "Ada halted the canary of probe");
  version(4);
  operate("push", copy, "--canary", "10%", "--canary-for", "3600");
  await says("#releases .canary", "left");
  await canary.getByText("Promote…").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await says("#told", "the canary is promoted");
  await arrival("3 of 3 nodes");
  check("promoted by keyboard, all nodes have it", (await card.locator(".canary-ended").innerText()).includes("was promoted"));

  // A dead letter.
  while (!(await ask(0, "/task?name=always-fail", "POST", "{}")).text.startsWith("queued")) await rest(100);
  await says("#tasks .dead", "always-fail");
  await says(".concerns", "1 dead letter of always-fail");
  const letter = page.locator("#tasks .dead li").first();
  check("a dead letter says after how many attempts, and why", (await letter.innerText()).includes("3 attempts"));
  await letter.scrollIntoViewIfNeeded();
  await look(page, "fleet-dead-letter", false);
  await letter.getByRole("button", { name: "Retry" }).click();
  await says("#told", "is tried again (1 changed)");
  await says("#tasks .dead", "6 attempts");
  check("retried, it is tried three times more", true);
  await letter.getByText("Discard…").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  check("a question is closed by Escape", !(await letter.getByRole("button", { name: /Discard task/ }).isVisible()));
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await says("#told", "is discarded (1 changed)");
  await page.waitForFunction(() => !document.querySelector("#tasks .dead"), null, { timeout: PATIENCE_MS });
  check("discarded by keyboard, it is gone", true);

  // Indexes.
  await page.getByRole("button", { name: "Try indexes for probe" }).click();
  await says("#told", "no index was found that helps");
  check("indexes are tried at a button", true);

  // A node dies.
  nodes[2].child.kill("SIGKILL");
  await says("#state", "2 of 3 nodes serve");
  await says(".concerns", "silent");
  check("a node that dies is missed", (await page.locator("#nodes tr.silent").innerText()).includes("dublin-1"));
  await looks("fleet-silent");
  await page.locator("#nodes tr.silent").getByRole("button", { name: "Forget" }).click();
  await says("#state", "all 2 nodes serve");
  check("forgotten, it is no more", true);
  check("no script or style complained", complaints.length === 0);
  complaints.forEach((complaint) => console.log(`     ${complaint}`));

  // Without a script: a snapshot, whose buttons work.
  const plain = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1280, height: 900 } });
  const snapshot = await plain.newPage();
  await snapshot.goto(`${origin}/fleet`);
  await enter(snapshot, readFileSync(token, "utf8").trim(), HOSTILE);
  check("without a script the page is whole", (await snapshot.locator("#nodes tbody tr").count()) === 2 && (await snapshot.locator("#live").innerText()).startsWith("as of"));
  await snapshot.getByText("quiet kinds").click();
  await Promise.all([snapshot.waitForEvent("load"), snapshot.getByRole("button", { name: "Pause always-fail" }).click()]);
  check("and says what came of a button, of whoever it was as text", (await snapshot.locator("#told").innerText()).includes(`${HOSTILE} paused tasks of probe always-fail: 1 changed`));
  check("which is done", await snapshot.getByRole("button", { name: "Resume always-fail" }).isVisible());
  await Promise.all([snapshot.waitForEvent("load"), snapshot.getByRole("button", { name: "Sign out" }).click()]);
  check("signed out is out", (await snapshot.getByLabel("Your token").isVisible()) && (await plain.cookies()).length === 0);

  // Another site's page posts nothing here.
  const forged = await context.request.post(`${origin}/fleet/do`, { form: { deed: "resume", app: "probe" }, headers: { "sec-fetch-site": "cross-site" } });
  check("a forged post is refused", forged.status() === 403);
} catch (error) {
  faults.push(String(error));
  console.log(`FAIL ${error}`);
  await page.screenshot({ path: `${folder}/fleet-fault.png`, fullPage: true }).catch(() => {});
} finally {
  visiting = false;
  await visitors;
  await browser.close();
  children.forEach((child) => child.kill("SIGKILL"));
  await rest(200);
  rmSync(data, { recursive: true, force: true });
}
console.log(`${steps} checks, ${faults.length} faults; screenshots in ${folder}`);
process.exit(faults.length ? 1 : 0);
