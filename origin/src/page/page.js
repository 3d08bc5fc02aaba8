// Follows the fleet: parts that have changed come as HTML and are laid over what is there, so that what is open, focused or
// selected stays so. Without this script the page is a snapshot, and its forms work.
"use strict";
(() => {
  const live = document.getElementById("live");
  const told = document.getElementById("told");
  const title = document.title;
  const SAID_MS = 12_000;
  const AGAIN_MS = 3_000;

  const key = (node) => node.dataset?.key ?? node.id ?? "";
  const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && key(one) === key(other);

  // Makes `old` what `next` is. A form that is under way is left alone.
  const lay = (old, next) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== next.data) old.data = next.data;
      return;
    }
    if (old.querySelector?.(":scope > [aria-busy]")) return;
    for (const { name } of [...old.attributes]) if (name !== "open" && !next.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    layAll(old, next);
  };

  const layAll = (old, next) => {
    let at = old.firstChild;
    for (const wanted of [...next.childNodes]) {
      let found = at;
      while (found && !alike(found, wanted)) found = found.nextSibling;
      // What stands before one with the same key is gone; before one without a key, it may only have moved on.
      if (found && found !== at && !key(wanted)) found = null;
      if (!found) {
        old.insertBefore(wanted, at);
        continue;
      }
      while (at !== found) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
      }
      lay(found, wanted);
      at = found.nextSibling;
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const show = (state, text) => {
    live.className = state;
    live.textContent = text;
    live.removeAttribute("title");
  };

  const entitle = () => {
    const sentence = document.querySelector("#state .sentence")?.textContent;
    if (sentence) document.title = `${sentence} · ${title}`;
  };

  // What stands still until a question in it is answered: no row slides away under the one who decides.
  const waiting = new Map();
  const renew = (part) => {
    const old = document.getElementById(part);
    if (!old || !waiting.has(part) || old.querySelector("details.sure[open]")) return;
    const next = new DOMParser().parseFromString(`<div>${waiting.get(part)}</div>`, "text/html").body.firstChild;
    waiting.delete(part);
    layAll(old, document.adoptNode(next));
    if (part === "state") entitle();
  };
  document.addEventListener("toggle", (event) => event.target.open || [...waiting.keys()].forEach(renew), true);

  const follow = () => {
    const events = new EventSource("/fleet/events");
    events.addEventListener("open", () => show("on", "live"));
    events.addEventListener("part", (event) => {
      const { part, html } = JSON.parse(event.data);
      waiting.set(part, html);
      renew(part);
    });
    events.addEventListener("over", () => location.reload());
    events.addEventListener("error", () => {
      show("off", "not followed: the origin does not answer");
      if (events.readyState !== EventSource.CLOSED) return;
      // It answered, and not with events: the session may be over.
      events.close();
      setTimeout(async () => {
        const there = await fetch("/fleet", { headers: { accept: "text/html" } }).catch(() => null);
        if (there && !(await there.text()).includes('id="live"')) location.reload();
        else follow();
      }, AGAIN_MS);
    });
  };

  let saidAt = 0;
  const say = (text, well) => {
    told.className = well ? "well" : "ill";
    told.textContent = text;
    told.scrollIntoView({ block: "nearest" });
    const at = (saidAt += 1);
    if (well) setTimeout(() => at === saidAt && (told.textContent = ""), SAID_MS);
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-act]")) return;
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.hasAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { accept: "application/json" } });
      const came = await answer.json();
      say(came.told ?? came.detail ?? came.title, answer.ok);
    } catch {
      say("The origin did not answer: it may have been done or not. The log tells.", false);
    } finally {
      button.removeAttribute("aria-busy");
      const sure = form.closest("details");
      if (sure) {
        sure.open = false;
        if (sure.isConnected && sure.contains(document.activeElement)) sure.querySelector("summary")?.focus();
      }
    }
  });

  // A question is closed by Escape, or by a look elsewhere.
  const closeAll = (but) => document.querySelectorAll("details.sure[open]").forEach((sure) => sure !== but && (sure.open = false));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.activeElement?.closest("details.sure[open]");
    closeAll();
    open?.querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => closeAll(event.target.closest?.("details.sure")));

  entitle();
  follow();
})();
