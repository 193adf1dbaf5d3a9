//! What stands around every page: head, navigation, footer.

use maud::{DOCTYPE, Markup, html};

use super::element;
use super::pages::NAVIGATION;
use super::{Page, Ui};
use crate::cli::error::CliError;
use crate::cli::output::words;

/// Seconds after which a page that was not ready asks again.
pub const AGAIN_SECONDS: u32 = 2;

/// Draws a whole page.
pub fn page(ui: &Ui, page: &Page) -> Markup {
    draw(&store_of(ui), ui.read_only, page, false)
}

/// Draws what stands in the place of a page that is being made: it asks again by itself. `progress`: what of the log its tables have, and all
/// that there is, where they are behind.
pub fn waiting(ui: &Ui, progress: Option<(u64, u64)>) -> Markup {
    draw(&store_of(ui), ui.read_only, &being_made(progress), true)
}

fn store_of(ui: &Ui) -> String {
    element::line(&ui.workspace.store.path.display().to_string())
}

fn being_made(progress: Option<(u64, u64)>) -> Page {
    let body = html! {
        h1 id="waiting" { "This page is being made" }
        @match progress {
            Some((reached, head)) => {
                p { "The tables that pages read are being made from the log: event " (words::count(reached)) " of " (words::count(head)) "." }
                progress class="meter" value=(reached) max=(head) aria-label="Events that the tables have" {}
                p class="hint" { "This is needed once, as after an upgrade of Meno." }
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
        let drawn = |progress| draw("/store", false, &being_made(progress), true).into_string();
        let behind = drawn(Some((1_200, 5_000)));
        assert!(behind.contains("<meta http-equiv=\"refresh\" content=\"2\">"), "{behind}");
        assert!(behind.contains("event 1,200 of 5,000") && behind.contains("value=\"1200\" max=\"5000\""), "{behind}");
        let slow = drawn(None);
        assert!(slow.contains("http-equiv=\"refresh\"") && !slow.contains("<progress"), "{slow}");
        assert!(!slow.contains("data-live"), "it hears of nothing new");
        assert!(!draw("/store", false, &being_made(None), false).into_string().contains("http-equiv"));
    }
}
