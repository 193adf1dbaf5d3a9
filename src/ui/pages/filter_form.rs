//! The form above the runs. Its fields show what applies, also where a filter was said in the words of the search; and what is chosen in them
//! applies, whatever the words say.

use maud::{Markup, html};

use super::runs::{AFTER, is_shown};
use crate::cli::error::Result;
use crate::domain::event::Mode;
use crate::ui::{Params, Request, Ui, element};
use crate::views::status::RunStatus;
use crate::workspace::{FilterDocument, SearchRequest, UnderstoodDocument};

/// Filters that are chosen from a list.
const CHOICES: [&str; 3] = ["status", "template", "mode"];
/// The field of the oldest time.
const SINCE: &str = "since";
/// The value of an option that stands for what the words say, where no other option does.
const AS_SAID: &str = "~";

/// A filter of the words, as the field for it shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    key: &'static str,
    value: String,
    words: String,
}

/// Returns what the words of a search say of the fields whose filter is not in the address. `before`: the page's own filter.
pub(super) fn said(query: &Params, meant: &UnderstoodDocument, before: Option<&str>) -> Vec<Said> {
    let of = |key: &'static str| {
        let filters: Vec<&FilterDocument> =
            meant.filters.iter().filter(|filter| filter.key == key && is_shown(filter, before)).collect();
        let values = |filter: &FilterDocument| -> Vec<String> {
            let values = filter.more.get("values").and_then(|values| values.as_array()).into_iter().flatten();
            values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
        };
        let value = match filters.as_slice() {
            [] => return None,
            [one] if !one.negated => match values(one).as_slice() {
                [value] => value.clone(),
                _ => AS_SAID.to_owned(),
            },
            _ => AS_SAID.to_owned(),
        };
        let words: Vec<&str> = filters.iter().map(|filter| filter.words.as_str()).collect();
        Some(Said { key, value, words: words.join(", ") })
    };
    let choices = CHOICES.into_iter().filter(|key| query.get(key).is_none()).filter_map(of);
    choices.chain(said_since(query, meant, before)).collect()
}

/// Returns what the words say of the field of the oldest time. What no time from which on says has no value there.
fn said_since(query: &Params, meant: &UnderstoodDocument, before: Option<&str>) -> Option<Said> {
    let times: Vec<&FilterDocument> =
        meant.filters.iter().filter(|filter| filter.key == "time" && is_shown(filter, before)).collect();
    let value = match times.as_slice() {
        [] => return None,
        [one] if field_of(one) == SINCE => one.typed.split_once(':').map_or("", |(_, value)| value).trim_matches('"').to_owned(),
        _ => String::new(),
    };
    let words: Vec<&str> = times.iter().map(|filter| filter.words.as_str()).collect();
    query.get(SINCE).is_none().then(|| Said { key: SINCE, value, words: words.join(", ") })
}

/// Returns the field that says the same as a filter, by its name.
fn field_of(filter: &FilterDocument) -> &str {
    let is_since = filter.key == "time" && !filter.negated && filter.typed.starts_with("since:");
    if is_since { SINCE } else { &filter.key }
}

/// Returns the address that a form leads to which was sent with what its fields showed of the words (`was`): each filter is in it once, and
/// where a field says something else than the words, the words do not say it any more. `None` for any other address.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn settled(ui: &Ui, request: &Request) -> Result<Option<String>> {
    if request.query.get("was").is_none() {
        return Ok(None);
    }
    let meant = match request.query.get("q") {
        Some(question) => {
            // What is found does not matter: which filters would empty the answer is the same for words alone, and quicker known.
            let now = jiff::Zoned::now().with_time_zone(ui.zone.clone());
            let search = SearchRequest::new(question).limit(1).lexical_only(true).now(&now);
            Some(ui.workspace.memory().search(&search).map_err(crate::cli::commands::search::report)?.understood)
        }
        None => None,
    };
    Ok(Some(settle(&request.query, meant.as_ref()).link("/")))
}

fn settle(query: &Params, meant: Option<&UnderstoodDocument>) -> Params {
    let was: Vec<(&str, &str)> = query.all("was").filter_map(|was| was.split_once('=')).collect();
    let mut settled = query.with("was", None);
    let filters = || meant.into_iter().flat_map(|meant| &meant.filters).filter(|filter| !filter.dropped);
    let is_changed = |key: &str| was.iter().any(|(known, value)| *known == key && query.get(key) != Some(value));
    for (key, value) in &was {
        let is_in_words = filters().any(|filter| field_of(filter) == *key);
        if query.get(key) == Some(value) && (is_in_words || *value == AS_SAID) {
            settled = settled.with(key, None);
        }
    }
    let Some(meant) = meant.filter(|_| filters().any(|filter| is_changed(field_of(filter)))) else { return settled };
    let kept = filters().filter(|filter| !is_changed(field_of(filter))).map(|filter| filter.typed.as_str());
    let order = meant.order.as_ref().map(|order| order.typed.as_str());
    let words: Vec<&str> =
        std::iter::once(meant.typed.as_str()).chain(kept).chain(order).filter(|part| !part.trim().is_empty()).collect();
    settled.with("q", Some(&words.join(" ")))
}

/// Draws the form.
pub(super) fn form(query: &Params, templates: &[(String, String)], said: &[Said]) -> Markup {
    let statuses: Vec<(String, String)> =
        RunStatus::ALL.iter().map(|status| (status.name().to_owned(), status.name().replace('_', " "))).collect();
    let modes: Vec<(String, String)> = Mode::ALL.iter().map(|mode| (mode.name().to_owned(), mode.name().to_owned())).collect();
    html! {
        form class="bar" action="/" {
            label class="grow" {
                "Search"
                input type="search" name="q" id="q" value=[query.get("q")] autocomplete="off" list="completions" data-complete
                    placeholder="failed runs of last week  ·  cost:>0.10 template:release_prep";
            }
            label { "Status" (choice(query, "status", &statuses, said)) }
            label { "Template" (choice(query, "template", templates, said)) }
            label { "Models" (choice(query, "mode", &modes, said)) }
            @let since = said.iter().find(|said| said.key == SINCE);
            @let words = since.map_or_else(|| "7d".to_owned(), |since| element::line(&since.words));
            @let value = query.get(SINCE).or(since.map(|since| since.value.as_str())).filter(|value| !value.is_empty());
            label { "Since" input name=(SINCE) value=[value] size="10" placeholder=(words) title=[since.map(|_| &words)]; }
            @for (key, value) in query.pairs().filter(|(key, _)| ["label", "until"].contains(key) || AFTER.contains(key)) {
                input type="hidden" name=(key) value=(value);
            }
            @for Said { key, value, .. } in said.iter().filter(|said| !said.value.is_empty()) { input type="hidden" name="was" value={ (key) "=" (value) }; }
            button type="submit" { "Show" }
            datalist id="completions" {}
        }
    }
}

/// A list to choose one value from; what applies is chosen, also where it is several values or one that is not in the list.
fn choice(query: &Params, key: &str, options: &[(String, String)], said: &[Said]) -> Markup {
    let of_address = query.all(key).map(str::trim).filter(|value| !value.is_empty()).collect::<Vec<_>>().join(",");
    let of_words = said.iter().find(|said| said.key == key);
    let chosen = of_words.map_or(of_address.as_str(), |said| said.value.as_str());
    let is_listed = chosen.is_empty() || options.iter().any(|(value, _)| value == chosen);
    html! {
        select name=(key) {
            option value="" { "any" }
            @for (value, name) in options { option value=(value) selected[value == chosen] { (element::line(name)) } }
            @if !is_listed {
                option value=(chosen) selected { (of_words.map_or_else(|| element::line(&chosen.replace(',', ", ")), |said| element::line(&said.words))) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::pages::runs::tests::{filter, meant};

    fn of(key: &str, typed: &str, values: &[&str], negated: bool) -> FilterDocument {
        let mut more = serde_json::Map::new();
        more.insert("values".to_owned(), values.to_vec().into());
        FilterDocument { key: key.to_owned(), negated, more, ..filter(typed, typed) }
    }

    #[test]
    fn fields_show_what_the_words_say_and_what_no_option_says_in_its_own_words() {
        let filters = vec![
            of("status", "status:failed", &["failed"], false),
            of("template", "-template:a", &["a"], true),
            of("mode", "mode:real", &["real"], false),
        ];
        let query = Params::parse(b"q=failed&mode=simulated");
        let said = said(&query, &meant("x", filters), None);
        let values: Vec<_> = said.iter().map(|said| (said.key, said.value.as_str())).collect();
        assert_eq!(values, [("status", "failed"), ("template", AS_SAID)], "the address comes first");
        let drawn = form(&query, &[("a".to_owned(), "A".to_owned())], &said).into_string();
        assert!(drawn.contains("<option value=\"failed\" selected>failed</option>"), "{drawn}");
        assert!(drawn.contains("<option value=\"~\" selected>-template:a</option>"), "{drawn}");
        assert!(drawn.contains("<option value=\"simulated\" selected>simulated</option>"), "{drawn}");
        assert!(drawn.contains("name=\"was\" value=\"status=failed\""), "{drawn}");
        let several = form(&Params::parse(b"status=failed&status=cancelled"), &[], &[]).into_string();
        assert!(several.contains("<option value=\"failed,cancelled\" selected>failed, cancelled</option>"), "{several}");
    }

    #[test]
    fn the_field_of_the_oldest_time_shows_what_the_words_say() {
        let since = || vec![of("time", "since:2026-01-01", &[], false), of("status", "status:failed", &["failed"], false)];
        let drawn = |filters| {
            let said = said(&Params::parse(b"q=x"), &meant("x", filters), None);
            form(&Params::parse(b"q=x"), &[], &said).into_string()
        };
        let shown = drawn(since());
        assert!(shown.contains("name=\"since\" value=\"2026-01-01\"") && shown.contains("value=\"since=2026-01-01\""), "{shown}");
        let between = drawn(vec![of("time", "on:2026-01", &[], false)]);
        assert!(between.contains("placeholder=\"on:2026-01\"") && !between.contains("was"), "no moment says that: {between}");
        let settle = |query: &str| settle(&Params::parse(query.as_bytes()), Some(&meant("types", since()))).link("/");
        let was = "q=types&was=since%3D2026-01-01";
        assert_eq!(settle(&format!("{was}&since=2026-01-01")), "/?q=types", "it is in the words already");
        assert_eq!(settle(&format!("{was}&since=")), "/?q=types+status%3Afailed", "nobody asks for it any more");
        let other = settle(&format!("{was}&since=9d"));
        assert_eq!(Params::parse(&other.as_bytes()[2..]).get("since"), Some("9d"));
    }

    #[test]
    fn what_is_chosen_in_a_field_takes_the_place_of_what_the_words_say() {
        let filters = || vec![of("status", "status:failed", &["failed"], false), of("cost", "cost:>1", &[], false)];
        let settle = |query: &str| settle(&Params::parse(query.as_bytes()), Some(&meant("types", filters()))).link("/");
        let was = "q=failed+types+over+%241&was=status%3Dfailed";
        assert_eq!(settle(&format!("{was}&status=failed")), "/?q=failed+types+over+%241", "it is in the words already");
        assert_eq!(settle(&format!("{was}&status=")), "/?q=types+cost%3A%3E1", "nobody asks for it any more");
        let other = settle(&format!("{was}&status=running"));
        assert_eq!(Params::parse(&other.as_bytes()[2..]).get("status"), Some("running"));
        assert_eq!(Params::parse(&other.as_bytes()[2..]).get("q"), Some("types cost:>1"));
        let emptied = super::settle(&Params::parse(b"q=&was=status%3Dfailed&status=failed"), None);
        assert_eq!(emptied.link("/"), "/?status=failed", "what a field shows applies without the words as well");
    }
}
