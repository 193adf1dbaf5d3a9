//! Markdown that models wrote, as HTML that can do no harm: raw HTML is shown as text, images are their words, links lead to http, https and
//! mailto addresses only.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::cli::output::sanitize;

/// Renders the first bytes of a text; what follows is left out, and that is said: `whole` leads to all of it.
pub fn render(text: &str, bytes_max: usize, whole: Option<&str>) -> Markup {
    let clean = sanitize::text(text);
    let end = clean.floor_char_boundary(bytes_max);
    let events =
        Parser::new_ext(&clean[..end], Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS);
    let mut rendered = String::with_capacity(end * 2);
    html::push_html(&mut rendered, harmless(events).into_iter());
    maud::html! {
        (PreEscaped(rendered))
        @if end < clean.len() {
            p class="hint" { "The text goes on: " @match whole { Some(whole) => a href=(whole) { "the whole text" }, None => code { "meno report" } } "." }
        }
    }
}

fn harmless<'t>(events: impl Iterator<Item = Event<'t>>) -> Vec<Event<'t>> {
    // Whether each link that is open was let through.
    let mut links = Vec::new();
    let mut kept = Vec::new();
    for event in events {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => kept.push(Event::Text(text)),
            Event::Start(Tag::HtmlBlock) => kept.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => kept.push(Event::End(TagEnd::Paragraph)),
            // What an image would say stands within it.
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            Event::Start(Tag::Link { link_type, dest_url, id, .. }) => {
                let is_good = is_harmless(&dest_url);
                links.push(is_good);
                if is_good {
                    kept.push(Event::Start(Tag::Link { link_type, dest_url, title: CowStr::Borrowed(""), id }));
                }
            }
            Event::End(TagEnd::Link) => {
                if links.pop() == Some(true) {
                    kept.push(Event::End(TagEnd::Link));
                }
            }
            // Identifiers and languages are classes and anchors of the page; a model has no say there.
            Event::Start(Tag::Heading { level, .. }) => {
                let level = below(level);
                kept.push(Event::Start(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() }));
            }
            Event::End(TagEnd::Heading(level)) => kept.push(Event::End(TagEnd::Heading(below(level)))),
            Event::Start(Tag::CodeBlock(_)) => kept.push(Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented))),
            // A box that nobody can tick is no field.
            Event::TaskListMarker(is_done) => kept.push(Event::Text(CowStr::Borrowed(if is_done { "☑ " } else { "☐ " }))),
            other => kept.push(other),
        }
    }
    kept
}

/// The heading one level deeper: the first belongs to the page.
fn below(level: HeadingLevel) -> HeadingLevel {
    HeadingLevel::try_from(level as usize + 1).unwrap_or(HeadingLevel::H6)
}

fn is_harmless(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "mailto"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_act_is_shown_as_text() {
        let hostile = "<script>alert(1)</script>\n\n# Title\n\n<img src=x onerror=alert(1)> [a](javascript:alert(1)) \
            [b](data:text/html,x) [c](JaVaScRiPt:x) ![d](http://evil.example/x.png) <svg onload=x> [e](https://good.example) \u{1b}[31m\n\n\
            [f]: vbscript:x\n\n[f] <javascript:alert(1)>\n\n```\"><script>\ncode\n```\n";
        let html = render(hostile, 20_000, None).into_string();
        assert!(html.contains("&lt;script&gt;") && html.contains("<h2>Title</h2>"), "{html}");
        assert!(html.contains("<a href=\"https://good.example\">e</a>"), "{html}");
        for never in ["<script", "<img", "<svg", "href=\"java", "href=\"JaVa", "href=\"data", "href=\"vb", "\u{1b}"] {
            assert!(!html.contains(never), "{never}: {html}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_leads_to_all_of_it() {
        let html = render(&"ä ".repeat(100), 21, Some("/runs/X/text?of=report")).into_string();
        assert!(html.starts_with(&format!("<p>{}</p>", "ä ".repeat(7).trim_end())), "{html}");
        assert!(html.contains("<a href=\"/runs/X/text?of=report\">the whole text</a>"), "{html}");
        let done = render("- [x] done\n- [ ] open", 1000, None).into_string();
        assert!(done.contains("☑ done") && done.contains("☐ open") && !done.contains("goes on"), "{done}");
    }

    proptest! {
        /// However the text is put together, no tag but those of Markdown comes out, and no attribute but the address of a link.
        #[test]
        fn no_text_makes_a_tag_that_acts(parts in proptest::collection::vec(proptest::sample::select(vec![
            "<script>", "<a href='javascript:x'>", "[x](", "javascript:x", ")", "![", "](", "`", "```", "\n", "\n\n", "<", ">", "\"", " onload=x ",
            "# ", "- ", "| a | b |\n|---|---|\n", "&lt;", "&#60;script&#62;", "\u{202e}", "<!--", "<![CDATA[", "word ", "<https://x.example>",
        ]), 0..40)) {
            let html = render(&parts.concat(), 20_000, None).into_string();
            for tag in html.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
                let name: String = tag.trim_start_matches('/').chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
                prop_assert!(["p", "a", "h1", "em", "strong", "code", "pre", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "br",
                    "hr", "blockquote", "del", "h2", "h3", "h4", "h5", "h6"].contains(&name.as_str()), "{}", html);
                if tag.starts_with("a ") {
                    prop_assert!(tag.starts_with("a href=\"http") || tag.starts_with("a href=\"mailto:"), "{}", html);
                }
            }
        }
    }
}
