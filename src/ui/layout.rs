//! What stands around every page: head, navigation, footer.

use maud::{DOCTYPE, Markup, html};

use super::element;
use super::pages::NAVIGATION;
use super::{Page, Ui};
use crate::cli::error::CliError;
use crate::cli::output::words;
use crate::workspace::Making;

/// Seconds after which a page that was not ready asks again.
pub const AGAIN_SECONDS: u32 = 2;

/// Draws a whole page.
pub fn page(ui: &Ui, page: &Page) -> Markup {
    draw(&store_of(ui), ui.read_only, page, false)
}

/// Draws what stands in the place of a page that is being made: it asks again by itself. `making`: what it waits for, where that is known.
pub fn waiting(ui: &Ui, making: Option<&Making>) -> Markup {
    draw(&store_of(ui), ui.read_only, &being_made(making), true)
}

fn store_of(ui: &Ui) -> String {
    element::line(&ui.workspace.store.path.display().to_string())
}

fn being_made(making: Option<&Making>) -> Page {
    let body = html! {
        h1 id="waiting" { "This page is being made" }
        @match making {
            Some(Making::Views { reached, head }) => {
                p { "The tables that pages read are being made from the log: event " (words::count(*reached)) " of " (words::count(*head)) "." }
                progress class="meter" value=(reached) max=(head) aria-label="Events that the tables have" {}
                p class="hint" { "This is needed once, as after an upgrade of Meno." }
            }
            Some(Making::Opening { words, percent }) => {
                p { "The store is being opened: " (words) ", " (percent) " %." }
                progress class="meter" value=(percent) max="100" aria-label=(words) {}
            }
            Some(Making::Elsewhere { pid, doing: Some((words, percent)) }) => {
                p { "Process " (pid) " holds the store and is " (words) ": " (percent) " %." }
                progress class="meter" value=(percent) max="100" aria-label={ "Process " (pid) ": " (words) } {}
            }
            Some(Making::Elsewhere { pid, doing: None }) => {
                p { "Process " (pid) " holds the store and reads the page's numbers. It does not say how far it is." }
            }
            None => p { "It takes longer than others do." },
        }
        p class="hint" { "It is asked for again every " (AGAIN_SECONDS) " seconds, and shown as soon as it is ready." }
    };
    Page { title: "Being made".to_owned(), here: "", body, live: None }
}

fn draw(store: &str, read_only: bool, page: &Page, asks_again: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if asks_again { meta http-equiv="refresh" content=(AGAIN_SECONDS); }
                title { (page.title) " · Meno" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                script src="/script.js" defer {}
            }
            body data-live=[page.live.as_deref()] {
                a class="skip" href="#main" { "Skip to the content" }
                header {
                    a class="home" href="/" { "Meno" }
                    nav aria-label="Pages" {
                        @for (path, name) in NAVIGATION {
                            a href=(path) aria-current=[(page.here == *path).then_some("page")] { (name) }
                        }
                    }
                    form class="find" action="/" role="search" {
                        input type="search" name="q" aria-label="Search runs" placeholder="Search runs  ( / )" autocomplete="off";
                    }
                }
                main id="main" tabindex="-1" { (page.body) }
                footer {
                    span title="The store that is shown" { (store) }
                    @if read_only { span class="state" { "read only" } }
                    span id="live" role="status" {}
                }
            }
        }
    }
}

/// Draws what went wrong: what, why, and what to do about it.
pub fn fault(report: &CliError) -> Page {
    let body = html! {
        h1 { "This did not work" }
        p class="fault" role="alert" { (element::line(&report.message)) }
        @if !report.causes.is_empty() {
            ul { @for cause in &report.causes { li { (element::line(cause)) } } }
        }
        @if let Some(hint) = &report.hint { p class="hint" { (backticks(hint)) } }
        p { a href="/" { "All runs" } }
    };
    Page { title: "Fault".to_owned(), here: "", body, live: None }
}

/// Shows what stands in backticks as code.
pub fn backticks(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (element::line(part)) } } @else { (element::line(part)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_being_made_says_how_far_and_asks_again_without_a_script() {
        let drawn = |making: Option<&Making>| draw("/store", false, &being_made(making), true).into_string();
        let behind = drawn(Some(&Making::Views { reached: 1_200, head: 5_000 }));
        assert!(behind.contains("<meta http-equiv=\"refresh\" content=\"2\">"), "{behind}");
        assert!(behind.contains("event 1,200 of 5,000") && behind.contains("value=\"1200\" max=\"5000\""), "{behind}");
        let slow = drawn(None);
        assert!(slow.contains("http-equiv=\"refresh\"") && !slow.contains("<progress"), "{slow}");
        assert!(!slow.contains("data-live"), "it hears of nothing new");
        assert!(!draw("/store", false, &being_made(None), false).into_string().contains("http-equiv"));
        let elsewhere = drawn(Some(&Making::Elsewhere { pid: 71, doing: Some(("rebuilding".to_owned(), 40)) }));
        assert!(elsewhere.contains("Process 71 holds the store and is rebuilding: 40 %."), "{elsewhere}");
        assert!(elsewhere.contains("value=\"40\" max=\"100\""), "{elsewhere}");
        let silent = drawn(Some(&Making::Elsewhere { pid: 71, doing: None }));
        assert!(silent.contains("does not say how far") && !silent.contains("<progress"), "{silent}");
    }
}
