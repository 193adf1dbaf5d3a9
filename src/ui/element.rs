//! Small parts that many pages have: states, amounts, times, links to runs. Every text is escaped by maud.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::Ui;
use crate::cli::output::{sanitize, time, words};
use crate::domain::event::Mode;
use crate::domain::tier::Tier;
use crate::views::run_detail::AttemptDetail;
use crate::views::status::{AgentStatus, AttemptStatus, RunStatus};

/// Characters at the end of a run's id that are shown where there is little room; the whole id is in the link's title.
const ID_END: usize = 8;
/// Bytes of a text that are shown; more would make a page too large to be read.
pub const TEXT_BYTES_MAX: usize = 20_000;
/// Lines and bytes of a difference that are shown.
const DIFF_LINES_MAX: usize = 400;
const DIFF_BYTES_MAX: usize = 20_000;

/// A run's state, in a colour and in words.
pub fn status(status: RunStatus, verified: bool) -> Markup {
    state(status.name(), &crate::cli::render::standing(status, verified), status == RunStatus::Succeeded && !verified)
}

/// An agent's state, as a run's.
pub fn agent_status(status: AgentStatus, verified: bool) -> Markup {
    let is_unverified = status == AgentStatus::Succeeded && !verified;
    let words = status.name().replace('_', " ");
    state(status.name(), &if is_unverified { format!("{words}, unverified") } else { words }, is_unverified)
}

/// An attempt's state.
pub fn attempt_status(attempt: &AttemptDetail) -> Markup {
    let is_unverified = attempt.status == AttemptStatus::Passed && !attempt.verified;
    state(attempt.status.name(), crate::cli::render::ending(attempt), is_unverified)
}

/// What nobody checked has one look, whatever it is.
fn state(name: &str, words: &str, is_unverified: bool) -> Markup {
    html! { span class={ "state s-" (if is_unverified { "unverified" } else { name }) } { (words) } }
}

/// A link to a run, by the end of its id.
pub fn run_link(id: &str) -> Markup {
    html! { a class="id" href={ "/runs/" (id) } title=(id) { (id_end(id)) } }
}

/// The end of a run's id.
pub fn id_end(id: &str) -> &str {
    id.len().checked_sub(ID_END).and_then(|from| id.get(from..)).unwrap_or(id)
}

/// A moment that a document holds as RFC 3339, in the page's zone.
pub fn moment(text: &str, zone: &TimeZone) -> Markup {
    html! { time datetime=(text) { (time::moment_of(text, zone)) } }
}

/// What kind of run it was when no real model was called.
pub fn mode(mode: Mode) -> Markup {
    html! {
        @match mode {
            Mode::Real => {},
            Mode::Simulated | Mode::Imported => span class={ "mode m-" (mode.name()) } { (mode.name()) },
        }
    }
}

/// A tier, in its colour and by its name.
pub fn tier(tier: Tier) -> Markup {
    html! { span class={ "tier t-" (tier.name()) } { (tier.name()) } }
}

/// A text of several lines as it was stored, without what would mean something to a terminal. Long ones are cut, and say so; `whole` leads to
/// all of it.
pub fn text(text: &str, whole: Option<&str>) -> Markup {
    beginning(text, TEXT_BYTES_MAX, whole)
}

/// The first bytes of a text, as [`text`] draws it.
pub fn beginning(text: &str, bytes_max: usize, whole: Option<&str>) -> Markup {
    let clean = sanitize::text(text);
    let shown = &clean[..clean.floor_char_boundary(bytes_max)];
    html! {
        pre dir="auto" tabindex="0" { (shown) }
        @if shown.len() < clean.len() {
            p class="hint" {
                "The first " (words::count(shown.chars().count() as u64)) " of " (words::count(clean.chars().count() as u64)) " characters"
                @match whole { Some(whole) => { ": " a href=(whole) { "the whole text" } "." }, None => "." }
            }
        }
    }
}

/// Draws a unified difference, line by line, as far as there is room for it on a page.
pub fn diff(text: &str) -> Markup {
    /// Characters of a line that are shown.
    const CHARS_MAX: usize = 500;
    let class = |line: &str| match line.chars().next() {
        Some('+') => Some("added"),
        Some('-') => Some("removed"),
        Some('@') => Some("place"),
        _ => None,
    };
    let mut bytes = 0;
    let is_room = |line: &&str| {
        bytes += line.len().min(CHARS_MAX) + 20;
        bytes <= DIFF_BYTES_MAX
    };
    let shown: Vec<&str> = text.lines().take(DIFF_LINES_MAX).take_while(is_room).collect();
    let lines = text.lines().count();
    html! {
        pre class="diff" dir="auto" tabindex="0" { @for line in &shown { span class=[class(line)] { (short(line, CHARS_MAX)) "\n" } } }
        @if lines > shown.len() {
            p class="hint" { "The first " (words::count(shown.len() as u64)) " of " (words::plural(lines as u64, "line")) "." }
        }
    }
}

/// A text on one line, with an ellipsis where it is cut.
pub fn short(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => sanitize::line(text).into_owned(),
        Some((end, _)) => format!("{}…", sanitize::line(&text[..end])),
    }
}

/// A name on one line of a table: one that is long and has no gap may break anywhere, so that no column is as wide as it.
pub fn name(clean: String) -> Markup {
    /// Characters of a word that a column has room for.
    const WORD_MAX: usize = 24;
    let is_long = clean.split_whitespace().any(|word| word.chars().nth(WORD_MAX).is_some());
    html! { @if is_long { span class="long" { (clean) } } @else { (clean) } }
}

/// A text that is to stay on one line.
pub fn line(text: &str) -> String {
    /// Browsers take minutes to find where a text without a gap may break, and a page has many lines.
    const CHARS_MAX: usize = 1_000;
    match text.char_indices().nth(CHARS_MAX) {
        None => sanitize::line(text).into_owned(),
        Some((end, _)) => {
            let more = words::count(text[end..].chars().count() as u64);
            format!("{}… ({more} more characters)", sanitize::line(&text[..end]))
        }
    }
}

/// The hidden field without which no form of this server is taken.
pub fn form_word(ui: &Ui) -> Markup {
    html! { input type="hidden" name="word" value=(ui.guard.form_word()); }
}

/// A text that may break into lines where it was written so.
pub fn lines(text: &str) -> Markup {
    let clean = sanitize::text(text);
    html! { @for (place, line) in clean.lines().enumerate() { @if place > 0 { br; } (line) } }
}

/// A text for a terminal, without its colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::run_detail::RunDetail;
    use crate::views::sample;

    #[test]
    fn what_nobody_checked_has_one_look() {
        let story = RunDetail::fold(sample::story().iter(), &sample::inline);
        let attempts = || story.agents.iter().flat_map(|agent| &agent.attempts);
        let judged = attempts().find(|attempt| !attempt.criteria.is_empty()).unwrap();
        let all = |verified| {
            [
                status(RunStatus::Succeeded, verified),
                agent_status(AgentStatus::Succeeded, verified),
                attempt_status(&AttemptDetail { status: AttemptStatus::Passed, verified, ..judged.clone() }),
            ]
        };
        for drawn in all(false) {
            let drawn = drawn.into_string();
            assert!(drawn.contains("class=\"state s-unverified\"") && drawn.contains(", unverified"), "{drawn}");
        }
        for drawn in all(true) {
            let drawn = drawn.into_string();
            assert!(drawn.contains("s-succeeded") || drawn.contains("s-passed"), "{drawn}");
        }
        assert!(agent_status(AgentStatus::Failed, false).into_string().contains("s-failed\">failed<"));
        let alone = AttemptDetail { status: AttemptStatus::Passed, verified: false, criteria: vec![], ..judged.clone() };
        assert!(attempt_status(&alone).into_string().contains("s-unverified\">not judged<"), "it has nothing to pass");
    }

    #[test]
    fn a_long_text_is_cut_within_no_letter_and_leads_to_the_whole() {
        let drawn = beginning(&"ä".repeat(60), 101, Some("/whole")).into_string();
        assert!(drawn.contains(&format!(">{}</pre>", "ä".repeat(50))), "{drawn}");
        assert!(drawn.contains("The first 50 of 60 characters: <a href=\"/whole\">"), "{drawn}");
        assert!(!text("short", Some("/whole")).into_string().contains("/whole"));
        let long = "+<line> & \"more\"\n".repeat(100_000);
        let drawn = diff(&long).into_string();
        assert!(drawn.len() < 60_000 && drawn.contains("The first 400 of 100,000 lines."), "{} bytes", drawn.len());
        assert!(diff(&"+x".repeat(100_000)).into_string().len() < 2_000, "one long line");
    }

    #[test]
    fn only_a_name_without_a_gap_breaks_anywhere() {
        assert_eq!(name("a b <c> ".repeat(20)).into_string(), "a b &lt;c&gt; ".repeat(20));
        assert_eq!(name("ä".repeat(25)).into_string(), format!("<span class=\"long\">{}</span>", "ä".repeat(25)));
    }

    #[test]
    fn a_long_line_is_cut_and_says_how_much_is_left_out() {
        let long = "ä".repeat(1_003);
        assert_eq!(line(&long), format!("{}… (3 more characters)", &long[..2_000]));
        assert_eq!(line(&long[..2_000]), long[..2_000]);
    }
}
