// Keeps an open page up to date with the development server: it loads the page anew when another version of the app is
// served, and shows what is wrong for as long as something is.
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || window.nearsideDevelops) return;
  window.nearsideDevelops = true;

  const STYLE = `
    :host { all: initial; color-scheme: light dark; }
    .back { position: fixed; inset: 0; z-index: 2147483647; overflow: auto; padding: 4vh 1rem;
      background: light-dark(#fffd, #000c); font: 1rem/1.5 system-ui, sans-serif; color: light-dark(#1a1a1a, #eee); }
    .panel { box-sizing: border-box; max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem; border-radius: .5rem;
      border: 1px solid light-dark(#b00020, #ff8a80); background: light-dark(#fff, #161616);
      box-shadow: 0 .5rem 2rem #0004; }
    header { display: flex; gap: 1rem; align-items: start; justify-content: space-between; }
    h1 { margin: 0; font-size: 1.15rem; color: light-dark(#b00020, #ff8a80); overflow-wrap: anywhere; }
    button { font: inherit; padding: .25rem .75rem; border: 1px solid light-dark(#888, #777); border-radius: .3rem;
      background: transparent; color: inherit; cursor: pointer; }
    pre { margin: 1rem 0 0; font: .85rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    :focus-visible { outline: 2px solid light-dark(#0b5cad, #8ab8ff); outline-offset: 2px; }
    p { margin: 1rem 0 0; }
    .bold { font-weight: 700; }
    .red { color: light-dark(#b00020, #ff8a80); } .yellow { color: light-dark(#7a5c00, #e8c464); }
    .green { color: light-dark(#1b6e2e, #7fd48f); } .blue, .cyan { color: light-dark(#0b5cad, #8ab8ff); }
    .magenta { color: light-dark(#8a1f8a, #e29ae2); } .grey { color: light-dark(#666, #aaa); }
    @media (max-width: 30rem) { .back { padding: .5rem; } .panel { padding: .75rem; } pre { font-size: .8rem; } }
  `;

  // A shadow tree of its own: neither the page's styles nor its scripts meet these. A constructed style sheet needs no
  // permission of the page's security policy.
  let panel = null;

  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const hide = () => {
    if (!panel) return;
    removeEventListener("keydown", escape, true);
    panel.host.remove();
    panel.before?.focus?.();
    panel = null;
  };

  const escape = (event) => {
    if (event.key === "Escape") hide();
  };

  const show = (trouble) => {
    hide();
    const host = document.createElement("nearside-overlay");
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];

    const close = element("button", { type: "button", textContent: "Close", onclick: hide });
    const title = element("h1", { id: "title", textContent: trouble.title });
    const text = element("pre", { tabIndex: 0 });
    for (const span of trouble.text) {
      text.append(span.looks ? element("span", { className: span.looks.join(" ") }, span.text) : span.text);
    }
    const box = element("div", { className: "panel" }, element("header", {}, title, close), text);
    box.setAttribute("role", "alertdialog");
    box.setAttribute("aria-modal", "true");
    box.setAttribute("aria-labelledby", "title");
    if (trouble.hint) box.append(element("p", { textContent: trouble.hint }));
    root.append(element("div", { className: "back" }, box));

    panel = { host, before: document.activeElement };
    (document.body ?? document.documentElement).append(host);
    addEventListener("keydown", escape, true);
    close.focus();
  };

  let version = script.dataset.version;
  let source = null;

  const told = (event) => {
    const state = JSON.parse(event.data);
    if (state.trouble) {
      show(state.trouble);
    } else if (state.version && state.version !== version) {
      version = state.version;
      location.reload();
    } else if (!script.dataset.failure) {
      hide();
    }
  };

  // A page that nobody looks at gives its connection back: browsers have few for one site.
  const listen = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      source = new EventSource("/_nearside/events");
      source.onmessage = told;
    }
  };
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => { source?.close(); source = null; });
  addEventListener("pageshow", listen);
  listen();

  if (script.dataset.failure) {
    fetch("/_nearside/failure/" + script.dataset.failure)
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((trouble) => trouble && !panel && show(trouble))
      .catch(() => {});
  }
})();
