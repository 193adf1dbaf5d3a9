"use strict";
// Everything on the pages works without this script. It puts what has changed in the place of what was shown, and knows a few keys.
(() => {
  const $ = (query, inside = document) => inside.querySelector(query);
  const $$ = (query, inside = document) => [...inside.querySelectorAll(query)];

  // Puts every part that carries `data-part` in the place of the one with the same id. A field that is being
  // filled in keeps what stands in it.
  function replace(text, force = false, which = "[data-part]") {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of $$(which)) {
      const other = fresh.getElementById(part.id);
      if (!other || other.isEqualNode(part)) continue;
      const active = part.contains(document.activeElement) ? document.activeElement : null;
      const typed = active?.matches("textarea, input:not([type=radio]):not([type=checkbox])") ? [active.value, active.selectionStart, active.selectionEnd] : null;
      if (typed && !force) continue;
      const open = $$("details[open][id]", part).map((one) => one.id);
      part.replaceWith(document.adoptNode(other));
      open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      const again = active?.id && document.getElementById(active.id);
      if (again && typed) {
        again.value = typed[0];
        try { again.setSelectionRange(typed[1], typed[2]); } catch { /* not every field has a selection */ }
      }
      if (again) again.focus({ preventScroll: true });
    }
    const steps = fresh.getElementById("scrubber")?.dataset.steps, scrubber = $("#scrubber");
    if (steps && scrubber && steps !== scrubber.dataset.steps) {
      // The run goes on: the track grows, and who stands at its end stays there.
      const slider = $("input[type=range]", scrubber), isAtEnd = slider.value === slider.max;
      scrubber.dataset.steps = slider.max = steps;
      if (isAtEnd) slider.value = steps;
    }
    // At the end of a run that goes on a page is live, before it is not.
    if (fresh.body.dataset.live === undefined) delete document.body.dataset.live; else document.body.dataset.live = fresh.body.dataset.live;
    listen();
  }
  async function ask(address) {
    const answer = await fetch(address);
    if (answer.ok) replace(await answer.text());
  }

  let asking = false, stale = false;
  async function refresh() {
    stale = true;
    if (asking) return;
    for (asking = true; stale;) {
      stale = false;
      try { await ask(location.href); } catch { /* the sign says that the server is gone */ }
    }
    asking = false;
  }

  // Live: while a page can be seen, it hears of which runs the log has grown. A browser has few connections to one server, so its pages share
  // one stream: the page that has the lock holds it and hands on what it says; when that page is left or hidden, another one gets the lock.
  const pages = navigator.locks && window.BroadcastChannel ? new BroadcastChannel("meno-live") : null, me = Math.random();
  let source = null, isListening = false, waiting = null, leave = null, sign = "";
  function hear(said) {
    if (said.hello && source) pages.postMessage({ to: said.hello, sign, grown: "*" });
    if (!isListening || (said.to && said.to !== me)) return;
    if (said.sign !== undefined) $("#live").textContent = said.sign;
    const run = document.body.dataset.live;
    if (said.grown && (!run || said.grown === "*" || said.grown.split(" ").includes(run))) refresh();
  }
  function say(said) {
    sign = said.sign ?? sign;
    pages?.postMessage(said);
    hear(said);
  }
  function open() {
    source = new EventSource("/live");
    // What came before the stream was open is asked for.
    source.onopen = () => say({ sign: "live", grown: "*" });
    // Each start of the server has an address of its own: a reload of this one would be refused.
    source.onerror = () => say({ sign: "not connected: if `meno ui` has ended, run it again and open the address that it prints" });
    source.onmessage = (event) => say({ grown: event.data });
  }
  function close() {
    source?.close();
    waiting?.abort();
    leave?.();
    source = waiting = leave = null;
  }
  function listen() {
    const run = document.body.dataset.live, wanted = !document.hidden && run !== undefined;
    if (run === undefined) $("#live").textContent = "";
    if (wanted === isListening) return;
    isListening = wanted;
    if (!wanted || !pages) return wanted ? open() : close();
    waiting = new AbortController();
    const hold = () => new Promise((done) => { leave = done; open(); });
    navigator.locks.request("meno-live", { signal: waiting.signal }, hold).catch(() => { /* it is no longer wanted */ });
    pages.postMessage({ hello: me });
  }
  if (pages) pages.onmessage = (event) => hear(event.data);
  document.addEventListener("visibilitychange", listen);
  listen();

  // A bar of the waterfall is looked at without leaving the page; so is a step of the scrubber.
  async function go(address) {
    history.replaceState(null, "", address);
    await ask(address);
  }
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-detail], a[data-step]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    stop();
    const row = document.getElementById("row-" + new URLSearchParams(location.search).get("sel"))?.id;
    await go(link.href.baseVal || link.href);
    if (link.id === "close") document.getElementById(row)?.focus(); else if (link.dataset.detail !== undefined) {
      const detail = $("#detail");
      detail?.scrollIntoView({ block: "nearest" });
      // Whoever came by keyboard goes on reading there.
      detail?.focus({ preventScroll: true });
    }
    if (link.dataset.step) slider.value = link.dataset.step;
  });

  // The scrubber: dragging and playing ask for one step after the other, the newest wish only.
  const scrubber = $("#scrubber"), slider = scrubber && $("input[type=range]", scrubber), play = $("#play");
  let busy = false, wanted = null, playing = null;
  async function step(number) {
    wanted = number;
    if (busy) return;
    busy = true;
    while (wanted !== null) {
      const query = new URLSearchParams(location.search);
      query.delete("at");
      if (wanted < +scrubber.dataset.steps) query.set("step", wanted); else query.delete("step");
      wanted = null;
      await go(location.pathname + (query.size ? "?" + query : ""));
    }
    busy = false;
  }
  function stop() {
    playing = void clearTimeout(playing);
    if (play) play.textContent = "▶ Play";
  }
  if (slider) {
    $("#go").hidden = true;
    play.hidden = false;
    slider.addEventListener("input", () => { stop(); step(+slider.value); });
    play.addEventListener("click", () => {
      if (playing) return stop();
      const steps = +scrubber.dataset.steps;
      if (+slider.value >= steps) slider.value = 1;
      play.textContent = "❚❚ Pause";
      // A whole run takes about twelve seconds, however many events it has.
      const stride = Math.max(1, Math.ceil(steps / 150)), pause = Math.max(80, 12000 / Math.min(steps, 150));
      const next = async () => {
        slider.value = Math.min(steps, +slider.value + stride);
        await step(+slider.value);
        if (playing) playing = +slider.value < steps ? setTimeout(next, pause) : stop();
      };
      playing = setTimeout(next, pause);
    });
  }

  // A form whose answers decide what else is asked is sent again when something in it changed; what takes longer is asked for when the rest is there.
  const form = $("form[data-form]");
  let sending = null, changes = 0;
  async function send(way) {
    const number = changes, isUpdate = way === "update";
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams([...new FormData(form), ["do", way]]) });
    const text = answer.ok && await answer.text();
    // What was chosen since is in the next answer only.
    if (text && number === changes) replace(text, isUpdate, isUpdate ? undefined : "#past");
    if (isUpdate && number === changes && $("[data-later]")) send("past");
  }
  form?.addEventListener("change", (event) => {
    // What was chosen last counts: an option takes the place of what stands in the field beside it.
    const other = event.target.matches("select") && form.elements["o." + event.target.name.slice(2)];
    if (other) other.value = "";
    changes += 1;
    clearTimeout(sending);
    sending = setTimeout(send, 150, "update");
  });
  if ($("[data-later]")) send("past");

  // Type-ahead: what the last word of a search may become stands in the field's own list, which arrows and Enter choose from.
  const search = $("input[data-complete]");
  let asked = 0;
  search?.addEventListener("input", async (event) => {
    // A choice that was taken from the list is complete, unless it is a key that wants a value.
    if (event.inputType === "insertReplacementText" && !search.value.endsWith(":")) return search.list.replaceChildren();
    const number = ++asked;
    const answer = await fetch("/api/complete?" + new URLSearchParams({ q: search.value }));
    const offers = answer.ok ? await answer.json() : [];
    if (number !== asked) return;
    search.list.replaceChildren(...offers.map((offer) => Object.assign(document.createElement("option"), { value: offer.query, label: offer.kind })));
  });

  // Keys: / searches; j, k and in the waterfall ↓, ↑ walk through rows; ←, → step through the run; +, -, 0 zoom; Escape closes the panel.
  const keys = { ArrowLeft: "#step-before", ArrowRight: "#step-after", "+": "#zoom-in", "-": "#zoom-out", 0: "#zoom-whole", Escape: "#close" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select, .scroll, .wide, pre")) return;
    const way = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key], isRow = event.target.matches("a.wf-label");
    const target = event.key === "/" ? $("main input[type=search]") || $("input[type=search]") : null;
    const rows = way && (isRow || event.key.length === 1) ? $$(isRow || !$("main a.row") ? "a.wf-label" : "main tbody tr a.row") : [];
    const row = target || rows[Math.max(0, Math.min(rows.indexOf(document.activeElement) + way, rows.length - 1))];
    if (row) event.preventDefault();
    if (row) row.focus(); else $(keys[event.key] || "#none")?.click();
  });
})();
