//! Which rules judge an answer. The rules have changed six times; a run records those that it started under and is judged by them for good,
//! so that its verdicts can be derived again by every later version.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// The rules by which code judges, recorded in a run's settings as their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum Edition {
    /// Words are what stands between spaces; of several fenced blocks none is a JSON answer. What decisions saw outside the log is not
    /// recorded, nor which event each follows from.
    First,
    /// Words are those of Unicode; among several fenced blocks the only one labelled `json` is the answer; evidence is reworded.
    Second,
    /// Commands that criteria ask for are run, and judged by what was recorded of them. A prompt that is larger than its model's
    /// window is not sent. What is missing in a JSON answer, what a path finds, and why an agent failed is said in other words.
    Third,
    /// `cites_inputs` also takes lines of files that the agent, or one that it builds on, was shown by its tools.
    Fourth,
    /// A command that could not be started, or that could not start what it needs, says nothing of the answer.
    Fifth,
    /// A command whose output says that no test ran, or that the network was missing which programs do not have, says nothing of the
    /// answer. An agent that lists tools which change files and has no leave to does not escalate for what only a change can mend.
    Sixth,
    /// A try that a provider may have been paid for, and that said nothing of its tokens, costs something that is not known.
    Seventh,
    /// A judge that refused, or whose reply was cut off, is said to have done so. Of a tier's fallbacks those come first that the budgets
    /// let be called. Whoever approves an escalation is told what all of it may cost.
    #[default]
    Eighth,
}

impl Edition {
    /// Returns the edition of runs that recorded none.
    pub fn before_any() -> Self {
        Self::First
    }

    /// Returns whether the commands that criteria ask for are run.
    pub fn runs_commands(self) -> bool {
        self >= Self::Third
    }

    /// Returns whether lines that tools showed may be quoted like those of inputs.
    pub fn quotes_tools(self) -> bool {
        self >= Self::Fourth
    }

    /// Returns whether a command that could not start what it needs is unknown rather than failed.
    pub fn knows_unstarted(self) -> bool {
        self >= Self::Fifth
    }

    /// Returns whether the output of a command counts besides its exit code: tests that did not run, a network that was not there.
    pub fn reads_outputs(self) -> bool {
        self >= Self::Sixth
    }

    /// Returns whether an agent that may not change files stops where only a change of files can help.
    pub fn stops_without_leave(self) -> bool {
        self >= Self::Sixth
    }

    /// Returns whether a failed try of which nothing came counts as one of unknown cost, where its provider had taken it.
    pub fn knows_unpaid(self) -> bool {
        self >= Self::Seventh
    }

    /// Returns whether the reason why a judge's reply stopped is heard.
    pub fn hears_judges(self) -> bool {
        self >= Self::Eighth
    }

    /// Returns whether a fallback without a price, which a budget forbids, stands behind those with one.
    pub fn prefers_priced(self) -> bool {
        self >= Self::Eighth
    }

    /// Returns whether an escalation that is asked for is priced with its judges, tools, repeats and fallbacks.
    pub fn prices_climbs(self) -> bool {
        self >= Self::Eighth
    }

    /// Counts the words of a text: by the word boundaries of Unicode (UAX #29), where what has neither letter nor digit is no word.
    /// Scripts that are written without spaces have no boundaries to go by: there each character is a word, as word processors count.
    pub fn words(self, text: &str) -> u64 {
        match self {
            Self::First => text.split_whitespace().count() as u64,
            _ => text.unicode_words().count() as u64,
        }
    }
}

impl From<Edition> for u32 {
    fn from(edition: Edition) -> Self {
        match edition {
            Edition::First => 1,
            Edition::Second => 2,
            Edition::Third => 3,
            Edition::Fourth => 4,
            Edition::Fifth => 5,
            Edition::Sixth => 6,
            Edition::Seventh => 7,
            Edition::Eighth => 8,
        }
    }
}

impl TryFrom<u32> for Edition {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::First),
            2 => Ok(Self::Second),
            3 => Ok(Self::Third),
            4 => Ok(Self::Fourth),
            5 => Ok(Self::Fifth),
            6 => Ok(Self::Sixth),
            7 => Ok(Self::Seventh),
            8 => Ok(Self::Eighth),
            number => Err(format!("edition {number} of the rules for judging is not known to this version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_their_script_has_them() {
        for (text, words) in [
            ("one two  three", 3),
            ("don't stop: 3.14 is — well-known 🦀", 6),
            ("日本語の文章はここにあります。とても長い文です。", 22),
            ("カタカナ", 1),
            ("Grüße aus Köln", 3),
            ("Привет, мир!", 2),
            ("-- | * \n", 0),
        ] {
            assert_eq!(Edition::Second.words(text), words, "{text}");
            assert_eq!(Edition::Third.words(text), words, "{text}");
        }
        assert_eq!(Edition::First.words("日本語。長い文 。"), 2);
    }

    #[test]
    fn an_edition_is_recorded_as_its_number() {
        for edition in (1..=8).map(|number| Edition::try_from(number).unwrap()) {
            let text = serde_json::to_string(&edition).unwrap();
            assert_eq!(serde_json::from_str::<Edition>(&text).unwrap(), edition);
        }
        assert!(serde_json::from_str::<Edition>("9").unwrap_err().to_string().contains("edition 9"));
    }
}
