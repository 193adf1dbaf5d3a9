//! The tree of forks that a run belongs to: where it comes from, and what was forked from it or begun again.

use maud::{Markup, html};

use super::Shown;
use crate::cli::error::Result;
use crate::cli::output::words;
use crate::ui::{Ui, element};
use crate::workspace::Relative;

/// Draws the tree. A run as it was has no tree: forks came later.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn family(shown: &Shown<'_>) -> Result<Markup> {
    if shown.at.is_some() {
        return Ok(html! {});
    }
    let id = &shown.detail.run_id;
    let family = match id.parse() {
        Ok(run) => shown.ui.workspace.runs().family(run)?,
        Err(_) => Vec::new(),
    };
    Ok(html! {
        div id="family" data-part {
            @if !family.is_empty() {
                section aria-labelledby="family-title" {
                    h2 id="family-title" { "Forks" }
                    (branches(shown.ui, &family, id, None))
                    @if family.len() >= Relative::MAX {
                        p class="hint" { "The first " (words::count(Relative::MAX as u64)) " runs of the tree." }
                    }
                }
            }
        }
    })
}

/// Draws runs that stand in the order of a walk through their tree, each with those that were forked from it in a list of its own.
fn branches(ui: &Ui, family: &[Relative], this: &str, parent: Option<&Relative>) -> Markup {
    let mut rest = family;
    let mut parts = Vec::new();
    while let Some((first, more)) = rest.split_first() {
        let below = more.iter().take_while(|other| other.followed.len() > first.followed.len()).count();
        let (below, behind) = more.split_at(below);
        parts.push((first, below));
        rest = behind;
    }
    html! {
        ul class="family" {
            @for (relative, below) in parts {
                li {
                    (entry(ui, relative, this, parent))
                    @if !below.is_empty() { (branches(ui, below, this, Some(relative))) }
                }
            }
        }
    }
}

fn entry(ui: &Ui, relative: &Relative, this: &str, parent: Option<&Relative>) -> Markup {
    let id = relative.id.to_string();
    html! {
        @if id == this {
            b aria-current="true" { span class="id" title=(id) { (element::id_end(&id)) } " (this run)" }
        } @else if relative.line.is_some() {
            (element::run_link(&id))
        } @else {
            span class="id" title=(id) { (element::id_end(&id)) }
        }
        @match &relative.line {
            Some(line) => {
                " " (element::status(line.status, line.verified)) " " (element::mode(line.mode))
                span class="soft" {
                    " " (element::line(&line.template_id)) ", " (element::moment(&line.started_at, &ui.zone)) ", "
                    (words::cost(line.cost_nusd, line.cost_complete, line.mode))
                }
            }
            None => span class="soft" { " not in this store" },
        }
        @if let (Some(at), Some(parent)) = (relative.at, parent) {
            span class="soft" { " forked at " a href={ "/runs/" (parent.id) "?at=" (at) } { "position " (words::count(at)) " of the log" } }
        }
    }
}
