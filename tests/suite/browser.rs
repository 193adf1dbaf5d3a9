//! The page in a real browser: headless Chromium, driven over WebDriver. Where there is none, these say so in one line and pass.
//!
//! What the tests see is kept as pictures in `target/tmp/page/`. `MENO_SCREENSHOTS=DIR` writes those of the README there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::House;
use crate::page_server::Served;
use crate::webdriver::{Browser, View};

const WIDE: View = View { width: 1600, dark: false };
/// The keys of WebDriver.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// Lets the browser in.
fn enter(browser: &Browser, served: &Served) {
    browser.open(&served.url());
    browser.until("the list of runs", "return location.search === '' && !!document.querySelector('main h1')");
}

fn go(browser: &Browser, served: &Served, path: &str) {
    browser.open(&format!("http://{}{path}", served.host));
    browser.until("a page that took long to make", "return !document.querySelector('#waiting')");
}

/// Keeps what the page looks like.
fn keep(browser: &Browser, name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&dir).expect("a folder");
    let file = dir.join(format!("{name}.png"));
    fs::write(&file, browser.picture(4000)).expect("written");
    file
}

/// Moves the scrubber as a hand does.
fn drag(browser: &Browser, step: &str) {
    browser.eval(&format!(
        "const s = document.querySelector('#scrubber input[type=range]'); s.value = {step}; \
         s.dispatchEvent(new Event('input', {{bubbles: true}})); return true"
    ));
}

#[test]
fn a_run_is_begun_watched_approved_searched_and_scrubbed() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\ndelay_ms = 150\n");
    let served = Served::start(&house, &[]);
    enter(&browser, &served);

    // The form: a condition shows and hides questions while it is filled in, and the cost stands before the button.
    go(&browser, &served, "/new/python_package_publish");
    browser.until("the expected cost", "return document.querySelector('#outlook').innerText.includes('expected cost')");
    browser.until("a question with a condition", "return !!document.querySelector('#q-test_coverage_required-part')");
    browser.click("#q-has_tests-No");
    browser.until("the condition fails", "return !document.querySelector('#q-test_coverage_required-part')");
    browser.click("#q-has_tests-Yes");
    browser.until("the condition holds", "return !!document.querySelector('#q-test_coverage_required-part')");
    go(&browser, &served, "/new/release_prep");
    browser.click("#terms summary");
    browser.type_into("input[name=seed]", "3");
    // Enter in a field shows the form again, and starts nothing.
    browser.eval("window.mark = 'before'; return true");
    browser.press(ENTER);
    let again = "location.pathname === '/new/release_prep' && document.querySelector('input[name=seed]').value === '3'";
    browser
        .until("the form again", &format!("return window.mark === undefined && document.readyState === 'complete' && {again}"));
    let order = "const at = (one) => document.querySelector(one).getBoundingClientRect().bottom; return at('#past') <= at('button[value=start]')";
    browser.until("what past runs say before the button", order);
    browser.click("select[name=escalate] option[value=ask]");
    browser.click("button[value=start]");
    browser.until("the run's page", "return location.pathname.startsWith('/runs/')");

    // It is watched, and what waits is approved, without asking for the page again by hand.
    let at_rest = "return !!document.querySelector('#head button[value=yes], h1 .s-succeeded, h1 .s-failed, h1 .s-unverified')";
    let mut approvals = 0;
    loop {
        browser.eval("window.mark = 'same page'; return true");
        browser.until("an approval or an end", at_rest);
        if browser.eval("return !!document.querySelector('#head button[value=yes]')") == Value::Bool(false) {
            break;
        }
        assert_eq!(browser.eval("return window.mark"), "same page");
        browser.click("#head button[value=yes]");
        approvals += 1;
        browser.until("the page after the approval", "return window.mark === undefined && document.readyState === 'complete'");
        assert!(approvals < 20, "it never ends");
    }
    assert!(approvals > 0);
    browser.until("an arrow for each escalation", "return document.querySelectorAll('.wf-climb').length > 0");
    let least = "return Math.min(...[...document.querySelectorAll('.wf-bar')].map((bar) => bar.getBoundingClientRect().width))";
    assert!(browser.eval(&format!("{least} + 2")).as_f64().is_some_and(|least| least >= 2.0), "each bar can be seen");

    // A bar is chosen by the mouse: the link of its row lies over it.
    let over = "const bar = document.querySelector('.wf-bar').getBoundingClientRect(); \
        return document.elementFromPoint(bar.x + bar.width / 2, bar.y + bar.height / 2)?.closest('a')?.matches('.wf-d1') === true";
    browser.eval("document.querySelector('.wf-bar').scrollIntoView({block: 'center'}); return true");
    browser.until("a link over the bar", over);

    // A bar is chosen by the keyboard: what was asked and how it was judged is shown.
    browser.eval("document.querySelector('.wf-d1').focus(); return true");
    browser.press(ENTER);
    browser.until(
        "the panel",
        "return document.querySelector('#detail').innerText.includes('Criteria') && location.search.includes('sel=')",
    );
    keep(&browser, "begun-and-chosen");

    // By keys: nearer, the whole again, and closed; the focus stays on the row that was looked at.
    browser.press("+");
    browser.until("a part of the time", "return location.search.includes('z=') && !!document.querySelector('#zoom-whole')");
    browser.press("0");
    browser.until("the whole run", "return !location.search.includes('z=') && !document.querySelector('#zoom-whole')");
    browser.press(ESCAPE);
    browser.until("the row", "return !location.search.includes('sel=') && document.activeElement.matches('a.wf-d1')");
    browser.eval("document.querySelector('a.wf-agent').focus(); return true");
    browser.press(ENTER);
    browser.until("the agent's time", "return location.search.includes('z=')");

    // The scrubber: dragged to the beginning, everything is as it was then; played, it comes to the end.
    drag(&browser, "12");
    browser.until("the run as it was", "return document.querySelector('#said').innerText.includes('As it was at event 12 ')");
    browser
        .until("shadows", "return document.querySelectorAll('.wf-ghost').length > document.querySelectorAll('.wf-bar').length");
    drag(&browser, "Math.round(s.max / 2)");
    browser.until("the middle", "return location.search.includes('step=') && document.querySelectorAll('.wf-cursor').length > 0");
    browser.click("#play");
    browser.until(
        "the end",
        "return !location.search.includes('step=') && document.querySelector('#play').textContent.includes('Play')",
    );

    // Search, by the keyboard; a filter that was understood is taken away again.
    go(&browser, &served, "/");
    browser.until("the list", "return document.readyState === 'complete'");
    browser.press("/");
    browser.press("mode:sim");
    let offers = "return [...document.querySelectorAll('#completions option')].map((one) => one.value).join()";
    browser.until("what the word may become", &format!("return (() => {{ {offers} }})() === 'mode:simulated'"));
    browser.press(&format!("ulated release{ENTER}"));
    browser.until(
        "what was understood",
        "return location.search.includes('q=') && document.querySelectorAll('#runs .chip').length > 0",
    );
    browser.until("a run", "return document.querySelectorAll('main a.row').length > 0");
    browser.click("#runs .chip a");
    browser.until("one filter less", "return !location.search.includes('mode')");
    go(&browser, &served, "/?q=simulated+runs+since+2020-01-01+that+cost+less+than+%241");
    let chips = "document.querySelectorAll('#runs .chip').length";
    browser.until("three filters", &format!("return {chips} === 3"));
    for left in [2, 1] {
        browser.click("#runs .chip a");
        browser.until("one chip less", &format!("return {chips} === {left}"));
    }

    // The fields show what the words say; what is chosen in one takes the place of it.
    go(&browser, &served, "/?q=simulated+runs+since+2020-01-01");
    let mode = "document.querySelector('select[name=mode]').value";
    browser.until("what the words say", &format!("return {mode} === 'simulated'"));
    browser.click("select[name=mode] option[value='']");
    browser.click("form.bar button");
    browser.until("it is said no more", &format!("return {mode} === '' && {chips} === 1"));

    // By Tab alone: first the link over the navigation.
    go(&browser, &served, "/");
    browser.press(TAB);
    assert_eq!(browser.eval("return document.activeElement.className"), "skip");
}

#[test]
fn real_money_is_confirmed_once_and_anew_when_what_it_was_for_changes() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let house = House::new();
    let mut command = house.command(["ui", "--json", "--no-open", "--port", "0"]);
    command.env("ANTHROPIC_API_KEY", "sk-ant-not-a-key").env("OPENAI_API_KEY", "sk-not-a-key");
    let served = Served::of(crate::harness::Running::start(command));
    enter(&browser, &served);
    go(&browser, &served, "/new/release_prep");
    browser.click("input[name=preset][value=anthropic]");
    browser.until("real models", "return document.querySelector('button[value=start]').innerText === 'Continue'");
    browser.click("button[value=start]");
    let asked =
        "const box = document.querySelector('#confirm'), button = document.querySelector('button[value=start]').innerText;";
    browser.until("the question", &format!("{asked} return !!box && !box.checked && button === 'Start with real money'"));
    // The page has heard of the tick when it was sent: it says so by the box that comes back.
    browser.eval("window.box = document.querySelector('#confirm'); return true");
    browser.click("#confirm");
    let kept = "box.checked && box !== window.box && button === 'Start with real money'";
    browser.until("the tick stays", &format!("{asked} return !!box && {kept}"));
    browser.click("input[name=preset][value=openai]");
    browser
        .until("it was for other models", &format!("{asked} return !!box && !box.checked && button === 'Start with real money'"));
    browser.click("input[name=preset][value=simulated]");
    browser.until("nothing is spent", &format!("{asked} return !box && button === 'Start, simulated'"));
}

#[test]
fn many_open_pages_of_a_live_run_share_one_stream_and_all_hear_of_it() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let house = House::with_delay(0);
    let done = house.meno(["run", "release_prep", "--no-input", "--seed", "3", "--escalate", "ask", "--json"]).ends().run();
    let run = done["run_id"].as_str().expect("an id").to_owned();
    let served = Served::start(&house, &[]);
    enter(&browser, &served);
    // A browser has six connections to one server: more pages than that are open, of the run and of all runs.
    let paths = [format!("/runs/{run}"), "/".to_owned()];
    let open = |path: &str| {
        let window = browser.new_window();
        go(&browser, &served, path);
        browser.until("a live page", "return document.querySelector('#live').textContent === 'live' && !document.hidden");
        window
    };
    let first = browser.window();
    let mut windows: Vec<(String, &String)> = paths.iter().cycle().take(8).map(|path| (open(path), path)).collect();
    windows.push((open("/needs"), &paths[1]));
    // The page that holds the stream is left: another one takes it over.
    browser.look_at(&first);
    browser.close_window();
    house.meno(["note", &run, "seen everywhere", "--rating", "4"]).exits(0);
    house.meno(["cancel", &run]).exits(0);
    for (window, path) in &windows {
        browser.look_at(window);
        if path.starts_with("/runs/") {
            browser.until("the end of the run", "return !!document.querySelector('h1 .s-cancelled')");
        } else {
            browser.until(
                "what changed",
                "return !document.body.innerText.includes('awaiting input') || !!document.querySelector('.s-cancelled')",
            );
        }
    }
}

#[test]
fn a_form_compares_past_runs_when_it_is_there_and_a_lost_connection_says_what_helps() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let house = House::with_delay(0);
    house.meno(["run", "release_prep", "--no-input", "--seed", "3"]).ends();
    let served = Served::start(&house, &[]);
    enter(&browser, &served);
    go(&browser, &served, "/new/release_prep");
    let compared = "const past = document.querySelector('#past'); return !!past && !past.innerText.includes('not compared')";
    browser.until("past runs", compared);
    go(&browser, &served, "/");
    browser.until("a live page", "return document.querySelector('#live').textContent === 'live'");
    served.running.signal(rustix::process::Signal::TERM);
    browser.until("what helps", "return document.querySelector('#live').textContent.includes('open the address that it prints')");
}

#[test]
fn hostile_texts_do_nothing_and_no_request_leaves() {
    let Some(browser) = Browser::start(WIDE) else { return };
    const HOSTILE: &str = "<script>window.owned=1</script><img src=http://evil.example/x onerror=\"window.owned=1\"> \
        [click](javascript:window.owned=1) ![x](http://evil.example/y.png) \u{1b}[31m \u{202e}rtl";
    let house = House::new();
    let said = format!("# {HOSTILE}\n\n{HOSTILE}\n\n{}", "y".repeat(100_000));
    let script = json!({"replies": [{"times": 99, "text": said}]});
    fs::write(house.path("script.json"), script.to_string()).expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{}\"\n",
        house.path("script.json").display()
    ));
    let done = house.meno(["run", "release_prep", "--no-input", "--json", "--label", &format!("x={HOSTILE}")]).ends().run();
    let run = done["run_id"].as_str().expect("an id").to_owned();
    house.meno(["note", &run, HOSTILE]).exits(0);
    let served = Served::start(&house, &[]);
    enter(&browser, &served);
    let pages = [
        "/".to_owned(),
        format!("/runs/{run}"),
        format!("/runs/{run}?sel=a0.1"),
        format!("/runs/{run}/events"),
        "/new/release_prep".to_owned(),
    ];
    for path in pages {
        go(&browser, &served, &path);
        assert_eq!(browser.eval("return typeof window.owned"), "undefined", "{path}");
        let asked = "return performance.getEntriesByType('resource').map((one) => new URL(one.name).host).filter((host) => host !== location.host)";
        assert_eq!(browser.eval(asked), json!([]), "{path}");
        let links = "return [...document.links].map((link) => link.protocol).filter((one) => !['http:', 'https:', 'mailto:'].includes(one))";
        assert_eq!(browser.eval(links), json!([]), "{path}");
        assert_eq!(spill(&browser), 0, "{path}: nothing is wider than the window");
    }
}

/// Imports a session of six exchanges within three days; returns its run.
fn of_days(house: &House) -> String {
    let id = "aaaaaaaa-0000-4000-8000-00000000000a";
    let said = |place: usize, hours: usize, seconds: usize, kind: &str, message: Value| {
        json!({"uuid": format!("{place:08}-0000-4000-8000-000000000000"), "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/home/ada/long",
            "sessionId": id, "version": "2.1.39", "timestamp": format!("2026-08-{:02}T{:02}:00:{seconds:02}.000Z", 1 + hours / 24, hours % 24),
            "type": kind, "requestId": format!("req_{place}"), "message": message})
        .to_string()
    };
    let lines = [0, 1, 2, 20, 21, 60].iter().enumerate().flat_map(|(place, hours)| {
        let usage = json!({"input_tokens": 50, "output_tokens": 60, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 900});
        let reply = json!({"id": format!("msg_{place}"), "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "Done"}], "stop_reason": "end_turn", "usage": usage});
        let asked = json!({"role": "user", "content": "Do the next step"});
        [said(2 * place, *hours, 0, "user", asked), said(2 * place + 1, *hours, 40, "assistant", reply)]
    });
    let projects = house.path("sessions/-home-ada-long");
    fs::create_dir_all(&projects).expect("a folder");
    fs::write(projects.join(format!("{id}.jsonl")), lines.collect::<Vec<_>>().join("\n")).expect("written");
    // A session that was written to just now goes on.
    let file = fs::File::options().append(true).open(projects.join(format!("{id}.jsonl")));
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    file.and_then(|file| file.set_modified(before)).expect("dated back");
    let folder = house.path("sessions").display().to_string();
    house.meno(["import", "transcripts", "claude-code", &folder, "--yes"]).exits(0);
    let listed = house.meno(["list-runs", "--template", "claude-code", "--json"]).exits(0);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    listed["runs"][0]["run_id"].as_str().expect("an id").to_owned()
}

/// By how many pixels a page is wider than its window.
fn spill(browser: &Browser) -> Value {
    browser.eval("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
}

#[test]
fn every_page_fits_narrow_and_wide_light_and_dark() {
    let views = [
        ("wide-light", WIDE),
        ("wide-dark", View { width: 1600, dark: true }),
        ("narrow-light", View { width: 360, dark: false }),
        ("narrow-dark", View { width: 360, dark: true }),
    ];
    let Some(_) = Browser::start(WIDE) else { return };
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\ndelay_ms = 40\n");
    for (template, seed) in
        [("release_prep", "3"), ("security_audit", "8"), ("release_prep", "11"), ("python_package_publish", "5")]
    {
        house.meno(["run", template, "--no-input", "--seed", seed, "--label", "team=core"]).ends();
    }
    let long = format!("note={}", "a label as long as a sentence, ".repeat(4));
    house.meno(["run", "release_prep", "--no-input", "--seed", "3", "--escalate", "ask", "--label", &long]).ends();
    let events = house.meno(["events", "last~1", "--json"]).exits(0).lines();
    let mut long = json!({"template_id": "long", "name": "A template with a name as long as a whole sentence that nobody would call short",
        "description": "", "version": "1.0.0", "form_schema": {"title": "", "description": "", "questions": []}});
    long["agent_composition_rules"] =
        json!([{"role": "one", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "x"}]);
    house.template("long", &long);
    // Names without a gap, as other systems have them.
    let name = "x".repeat(160);
    let attempt = json!({"tier": "cheap", "model": name, "passed": false, "cost_usd": 1234.5, "failed_criteria": [name]});
    let imported = |id: u32| {
        let agents = json!([{"role": name, "task": "x", "attempts": [attempt]}]);
        json!({"run_id": format!("r-{id}"), "template_id": name, "started_at": "2026-10-01T09:00:00Z", "labels": {"x": name}, "agents": agents}).to_string()
    };
    fs::write(house.path("long.jsonl"), format!("{}\n{}", imported(1), imported(2))).expect("written");
    house.meno(["import", "runs", &house.path("long.jsonl").display().to_string()]).exits(0);
    let listed = house.meno(["list-runs", "--mode", "imported", "--json"]).exits(0);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let [one, other] = [0, 1].map(|place| listed["runs"][place]["run_id"].as_str().expect("an id"));
    let session = of_days(&house);
    let run = events[0]["run_id"].as_str().expect("an id");
    let at = events[events.len() * 3 / 5]["seq"].as_u64().expect("a position");
    let pages = [
        ("runs", "/".to_owned()),
        ("search", "/?q=failed+or+succeeded+release_prep+cost:%3E0".to_owned()),
        ("run", format!("/runs/{run}")),
        ("cost", format!("/runs/{run}?by=cost&sel=c0")),
        ("scrubber", format!("/runs/{run}?at={at}&sel=a0.1")),
        ("events", format!("/runs/{run}/events")),
        ("needs", "/needs".to_owned()),
        ("templates", "/new".to_owned()),
        ("form", "/new/python_package_publish".to_owned()),
        ("template", "/templates/security_audit".to_owned()),
        ("all-templates", "/templates".to_owned()),
        ("costs", "/costs?by=template&by=model&by=role&since=2020-01-01".to_owned()),
        ("compare", format!("/compare?a={one}&b={other}")),
        ("session", format!("/runs/{session}")),
        ("session-to-scale", format!("/runs/{session}?waits=full")),
        ("fault", "/runs/nowhere".to_owned()),
    ];
    for (name, view) in views {
        let Some(browser) = Browser::start(view) else { return };
        let served = Served::start(&house, &["--read-only"]);
        enter(&browser, &served);
        assert_eq!(browser.eval("return matchMedia('(prefers-color-scheme: dark)').matches"), view.dark);
        for (page, path) in &pages {
            go(&browser, &served, path);
            keep(&browser, &format!("{page}-{name}"));
            assert_eq!(spill(&browser), 0, "{page} {name}: nothing is wider than the window");
            let tall = "return [...document.querySelectorAll('.runs td[data-name=Started] time')].filter((one) => one.getClientRects().length > 1).length";
            assert_eq!(browser.eval(tall), 0, "{page} {name}: when a run started is on one line");
            let cut = "return [...document.querySelectorAll('.wf-d1 .wf-name')].filter((one) => one.scrollWidth > one.clientWidth).length";
            assert_eq!(browser.eval(cut), 0, "{page} {name}: the names of attempts can be read");
            // Who works by the keyboard reaches what is scrolled, and nothing that is an image has parts of its own.
            let unreached = "return [...document.querySelectorAll('main *')].filter((one) => one.scrollWidth > one.clientWidth + 1 \
                && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX) && one.tabIndex < 0).length";
            assert_eq!(browser.eval(unreached), 0, "{page} {name}: what is scrolled has the focus");
            let nested = "return document.querySelectorAll('[role=img] a, [role=img] [tabindex], th:empty').length";
            assert_eq!(browser.eval(nested), 0, "{page} {name}: images are whole, and every column has a name");
            let long = "return [...document.querySelectorAll('.long')].filter((one) => one.getClientRects().length && \
                (innerWidth > 1500 ? one.closest('.wide').scrollWidth > one.closest('.wide').clientWidth : one.offsetWidth > 300)).length";
            assert_eq!(browser.eval(long), 0, "{page} {name}: a long name leaves room for the columns beside it");
            // Of a session over days each exchange can be seen, unless it is to be drawn to scale.
            let widths = browser
                .eval("return [...document.querySelectorAll('.wf-bar.wf-high')].map((one) => one.getBoundingClientRect().width)");
            let narrowest = widths.as_array().expect("widths").iter().filter_map(Value::as_f64).fold(f64::INFINITY, f64::min);
            match *page {
                "session" => assert!(narrowest >= 12.0, "{name}: {widths}"),
                "session-to-scale" => assert!(narrowest < 1.0, "{name}: {widths}"),
                _ => {}
            }
            let graph = "return [...document.querySelectorAll('.figure .scroll')].every((one) => innerWidth < 1500 || one.scrollWidth <= one.clientWidth)";
            assert_eq!(browser.eval(graph), true, "{page} {name}: where there is room, graphs fit");
            let is_shown = matches!((*page, name), ("run", "wide-light") | ("scrubber", "wide-dark"));
            if let Some(dir) = std::env::var_os("MENO_SCREENSHOTS").filter(|_| is_shown) {
                fs::write(Path::new(&dir).join(format!("{page}.png")), browser.picture(1330)).expect("written");
            }
        }
    }
}
