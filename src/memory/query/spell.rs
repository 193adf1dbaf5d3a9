//! Spells out a question: every part of it as it is typed so that it means this alone, whatever stands beside it.

use super::{Order, Understood, Vocabulary, scan, understand};

/// The parts of a question, as they are typed. What was read from words is a key, and those words are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelled {
    /// What is searched: words that nothing was made of, phrases, and what must not occur.
    pub text: String,
    /// The filters, one for each of those that were understood.
    pub filters: Vec<String>,
    /// The order.
    pub order: Option<String>,
}

impl Spelled {
    /// Returns the whole question, with the filters that `keeps` says yes to by their numbers, and the order when it is wanted.
    pub fn question(&self, keeps: &dyn Fn(usize) -> bool, with_order: bool) -> String {
        let filters = self.filters.iter().enumerate().filter(|(number, _)| keeps(*number)).map(|(_, filter)| filter.as_str());
        let order = self.order.as_deref().filter(|_| with_order);
        let parts = std::iter::once(self.text.as_str()).chain(filters).chain(order);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Spells out what was understood. Phrases with the numbers `loosened` were searched as words.
pub fn spell(understood: &Understood, loosened: &[usize], vocabulary: &Vocabulary, now: &jiff::Zoned) -> Spelled {
    let (loose, exact): (Vec<_>, Vec<_>) =
        understood.phrases.iter().enumerate().partition(|(number, _)| loosened.contains(number));
    let words: Vec<&str> = std::iter::once(understood.rest.as_str())
        .chain(loose.iter().map(|(_, phrase)| phrase.as_str()))
        .filter(|words| !words.is_empty())
        .collect();
    let words = words.join(" ");
    let typed = |words: String| {
        let exact = exact.iter().map(|(_, phrase)| format!("\"{phrase}\""));
        let without = understood.without.iter().map(|word| without(word));
        let parts = std::iter::once(words).chain(exact).chain(without).filter(|part| !part.is_empty());
        Spelled {
            text: parts.collect::<Vec<_>>().join(" "),
            filters: understood.filters.iter().map(super::Filter::to_key_value).collect(),
            order: understood.order.map(typed_order),
        }
    };
    let plain = typed(words.clone());
    let again = understand(&plain.question(&|_| true, false), vocabulary, now);
    let tests = |of: &Understood| of.filters.iter().map(|filter| (filter.test.clone(), filter.negated)).collect::<Vec<_>>();
    // Without filters, "runs" alone is an order.
    let is_ordered = again.order.is_some() && !words.is_empty();
    let is_same = tests(&again) == tests(understood) && !is_ordered && again.without == understood.without;
    // Words of which something would be made, now that keys stand beside them, are marked as words.
    if words.is_empty() || is_same { plain } else { typed(format!("{}:\"{words}\"", super::keys::TEXT)) }
}

fn without(word: &str) -> String {
    if word.contains(char::is_whitespace) { format!("-\"{word}\"") } else { format!("-{word}") }
}

/// `sort:cheapest`, `sort:cheapest,5` for the five cheapest, `sort:cheapest,2..` from the second on.
fn typed_order(order: Order) -> String {
    let count = order.count.map(|count| format!(",{count}")).unwrap_or_default();
    let place = if order.place > 1 { format!(",{}..", order.place) } else { String::new() };
    format!("{}:{}{count}{place}", super::keys::SORT, order.sort.name())
}

/// Reads what [`typed_order`] writes; `None` when it is no order.
pub fn order(pair: &scan::Pair) -> Option<Order> {
    let (sort, more) = pair.values.split_first()?;
    let mut order = Order::of(sort.parse().ok()?);
    for value in more {
        let number = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0);
        match value.strip_suffix("..") {
            Some(place) => order.place = number(place)?,
            None => order.count = Some(number(value)?),
        }
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::super::phrasings::{NEGATIONS, ORDERS, RANGES};
    use super::super::table::{FILTERS, NOW, TEXT, known};
    use super::super::{FilterTest, Sort};
    use super::*;

    fn read(query: &str) -> (Understood, Spelled) {
        let now: jiff::Zoned = NOW.parse().unwrap();
        let vocabulary = Vocabulary::new(known());
        let understood = understand(query, &vocabulary, &now);
        let spelled = spell(&understood, &[], &vocabulary, &now);
        (understood, spelled)
    }

    fn tests(of: &Understood) -> Vec<(FilterTest, bool)> {
        of.filters.iter().map(|filter| (filter.test.clone(), filter.negated)).collect()
    }

    #[test]
    fn a_part_that_is_left_out_is_not_understood_again_and_the_others_are_once() {
        let queries = [FILTERS, NEGATIONS, RANGES, ORDERS].concat();
        let queries = queries.iter().map(|(query, _)| *query).chain(TEXT.iter().copied());
        let more = [
            "failed runs that cost more than $1",
            "type errors in failed runs that cost more than $1",
            "failed runs status:failed",
            "\"type error\" -mypy in failed premium runs since May",
            "failed tests cost:>1 the 5 most expensive",
            "the second cheapest run about failed premium parsers",
        ];
        for query in queries.chain(more) {
            let (understood, spelled) = read(query);
            let all = tests(&understood);
            for left_out in 0..=all.len() {
                let question = spelled.question(&|number| number != left_out, true);
                let again = read(&question).0;
                let mut others = all.clone();
                if left_out < others.len() {
                    others.remove(left_out);
                }
                assert_eq!(tests(&again), others, "{query}, said as {question}");
                assert_eq!(again.order, understood.order, "{query}, said as {question}");
                assert_eq!(again.without, understood.without, "{query}, said as {question}");
            }
            let again = read(&spelled.question(&|_| true, false)).0;
            assert_eq!(tests(&again), all, "{query}");
            assert_eq!(again.order, None, "{query} without its order");
        }
    }

    #[test]
    fn each_filter_is_said_once_and_words_that_were_understood_are_gone() {
        for (query, spelled) in [
            ("failed runs that cost more than $1", "status:failed cost:>1"),
            ("failed runs status:failed", "status:failed"),
            ("type errors in failed runs", "type errors status:failed"),
            ("the 5 most expensive runs", "sort:most-expensive,5"),
            ("the second cheapest run", "sort:cheapest,2.."),
            ("text:failed cost:>1", "failed cost:>1"),
            ("text:\"failed runs\" cost:>1", "text:\"failed runs\" cost:>1"),
        ] {
            let found = read(query).1.question(&|_| true, true);
            assert_eq!(found, spelled, "{query}");
        }
    }

    #[test]
    fn every_order_is_read_as_it_is_typed() {
        for sort in Sort::ALL {
            for (place, count) in [(1, None), (1, Some(5)), (2, None), (3, Some(4))] {
                let order = Order { sort, place, count };
                assert_eq!(read(&typed_order(order)).0.order, Some(order), "{order}");
            }
        }
        for unread in ["sort:sideways", "sort:cheapest,0", "sort:cheapest,x", "sort:cheapest,0.."] {
            let understood = read(unread).0;
            assert!(understood.order.is_none() && understood.notes[0].contains("searched as text"), "{unread}");
        }
    }
}
