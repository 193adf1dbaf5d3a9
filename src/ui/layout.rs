//! What stands around every page: head, navigation, footer.

use maud::{DOCTYPE, Markup, html};

use super::element;
use super::pages::NAVIGATION;
use super::{Page, Ui};
use crate::cli::error::CliError;

/// Draws a whole page.
pub fn page(ui: &Ui, page: &Page) -> Markup {
    let store = element::line(&ui.workspace.store.path.display().to_string());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
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
                    @if ui.read_only { span class="state" { "read only" } }
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
