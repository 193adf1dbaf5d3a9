//! Where output goes and how it looks: data to stdout, words about it to stderr, colour only where it is wanted.
//!
//! Everything that a command prints passes through [`Printer`], which alone knows about terminals, `--json`, `-q`, `-v` and
//! colour. Callers clean stored text with [`sanitize`] before it gets here; [`Printer`] cannot tell text from styling.

pub mod layout;
pub mod sanitize;
pub mod table;
pub mod time;
pub mod words;

use std::cell::OnceCell;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::error::{CliError, Result};
use crate::settings::Variables;

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always, even into a pipe.
    Always,
    /// Never.
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::AlwaysAnsi,
            Color::Never => Self::Never,
        }
    }
}

/// Columns of help where no terminal says how many there are, at least, and at most.
const HELP_WIDTH: usize = 100;
const HELP_MIN: usize = 20;
const HELP_MAX: usize = 110;

/// The style of headings.
pub const HEADING: Style = Style::new().bold();
/// The style of what went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// The style of what went wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// The style of what needs attention.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// The style of what matters less.
pub const FAINT: Style = Style::new().dimmed();
/// The style of hints.
pub const HINT: Style = AnsiColor::Cyan.on_default();

/// Puts `text` in `style`.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// What decides how output looks, as the user asked for it.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// JSON instead of words on stdout.
    pub json: bool,
    /// No words on stderr but errors.
    pub quiet: bool,
    /// More words on stderr.
    pub verbose: bool,
    /// When to colour.
    pub color: Color,
    /// The zone in which times are shown; the system's without it.
    pub zone: Option<TimeZone>,
    /// The variable `TZ` says what the system's zone is.
    pub zone_is_variable: bool,
}

/// Stderr, for words.
#[derive(Clone)]
struct Words {
    to: Arc<Mutex<AutoStream<Box<dyn Write + Send>>>>,
    width: Option<u16>,
}

impl Words {
    fn new(to: Box<dyn Write + Send>, color: ColorChoice, width: Option<u16>) -> Self {
        Self { to: Arc::new(Mutex::new(AutoStream::new(to, color))), width }
    }

    fn flow(&self, text: impl std::fmt::Display) {
        match self.width {
            Some(width) => self.lines(layout::flow(&text.to_string(), width.into())),
            None => self.lines(text),
        }
    }

    fn lines(&self, text: impl std::fmt::Display) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        // Words are worth saying only to somebody who listens: a closed stderr ends nothing.
        let _ = writeln!(to, "{text}").and_then(|()| to.flush());
    }
}

/// What says words on stderr from within work that has no [`Printer`] at hand, on any thread; nothing with `-q` or `--json`.
#[derive(Clone)]
pub struct Aside(Option<Words>);

impl Aside {
    /// Says something about what is done.
    pub fn say(&self, text: impl std::fmt::Display) {
        if let Some(words) = &self.0 {
            words.flow(text);
        }
    }
}

impl std::fmt::Debug for Aside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Aside").field(&self.0.is_some()).finish()
    }
}

/// Stdout and stderr, as the user wants them to look.
pub struct Printer {
    data: AutoStream<Box<dyn Write + Send>>,
    words: Words,
    look: OutputOptions,
    data_width: Option<u16>,
    can_redraw: bool,
    zone: OnceCell<TimeZone>,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out").field("look", &self.look).field("data_width", &self.data_width).finish_non_exhaustive()
    }
}

impl Printer {
    /// Opens the process's own stdout and stderr.
    pub fn new(look: OutputOptions) -> Self {
        let stdout = io::stdout();
        let (on_terminal, words_on_terminal) = (stdout.is_terminal(), io::stderr().is_terminal());
        let is_dumb = Variables::of_process().get("TERM").is_some_and(|term| term == "dumb");
        let choose = |auto: ColorChoice| match look.color {
            Color::Auto => auto,
            color => color.into(),
        };
        let (data_color, words_color) = (choose(AutoStream::choice(&stdout)), choose(AutoStream::choice(&io::stderr())));
        Self {
            data: AutoStream::new(Box::new(stdout) as Box<dyn Write + Send>, data_color),
            words: Words::new(Box::new(io::stderr()), words_color, words_on_terminal.then(terminal_width)),
            look,
            data_width: on_terminal.then(terminal_width),
            can_redraw: words_on_terminal && !is_dumb,
            zone: OnceCell::new(),
        }
    }

    /// Writes to `data` and `words` instead of the process's streams, as if both were terminals of `width` columns (`None`: pipes).
    #[cfg(test)]
    pub fn to(
        look: OutputOptions,
        data: impl Write + Send + 'static,
        words: impl Write + Send + 'static,
        width: Option<u16>,
    ) -> Self {
        let color = match look.color {
            Color::Auto => ColorChoice::Never,
            color => color.into(),
        };
        Self {
            data: AutoStream::new(Box::new(data) as Box<dyn Write + Send>, color),
            words: Words::new(Box::new(words), color, width),
            look,
            data_width: width,
            can_redraw: false,
            zone: OnceCell::new(),
        }
    }

    /// Tells whether stdout is to be JSON.
    pub fn json(&self) -> bool {
        self.look.json
    }

    /// Tells whether words other than errors are unwanted.
    pub fn quiet(&self) -> bool {
        self.look.quiet
    }

    /// Returns the width of the terminal behind stdout in columns; `None` when it is not a terminal.
    pub fn width(&self) -> Option<u16> {
        self.data_width
    }

    /// Tells whether stderr is a terminal that can move its cursor: where something can be drawn and redrawn.
    pub fn can_redraw(&self) -> bool {
        self.can_redraw
    }

    /// Returns the zone in which times are shown.
    pub fn zone(&self) -> &TimeZone {
        let system = || if self.look.zone_is_variable { TimeZone::system() } else { time::local() };
        self.zone.get_or_init(|| self.look.zone.clone().unwrap_or_else(system))
    }

    /// Writes `text` and a line break to stdout, on a terminal with its lines broken between words.
    ///
    /// # Errors
    /// When stdout cannot be written; a closed pipe gives a silent report that ends with 0.
    pub fn data(&mut self, text: impl std::fmt::Display) -> Result<()> {
        match self.data_width {
            Some(width) => self.verbatim(layout::flow(&text.to_string(), width.into())),
            None => self.verbatim(text),
        }
    }

    /// Writes `text` and a line break to stdout with its lines as they are: texts that are laid out already, JSON.
    ///
    /// # Errors
    /// As [`Self::data`].
    pub fn verbatim(&mut self, text: impl std::fmt::Display) -> Result<()> {
        writeln!(self.data, "{text}")?;
        Ok(self.data.flush()?)
    }

    /// Writes text to stdout without a line break of its own: files that are shown, completions.
    ///
    /// # Errors
    /// As [`Self::data`].
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.data.write_all(text.as_bytes())?;
        Ok(self.data.flush()?)
    }

    /// Writes bytes to stdout as they are: long exports, which their writer has made safe.
    ///
    /// # Errors
    /// What stdout says.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data.write_all(bytes)
    }

    /// Writes one JSON document to stdout, indented for reading.
    ///
    /// # Errors
    /// As [`Self::data`], or when `value` cannot be said in JSON.
    pub fn document(&mut self, value: &impl Serialize) -> Result<()> {
        let json = serde_json::to_string_pretty(value).map_err(unsayable)?;
        self.verbatim(sanitize::json(&json))
    }

    /// Writes one line of JSON Lines to stdout.
    ///
    /// # Errors
    /// As [`Self::document`].
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        let json = serde_json::to_string(value).map_err(unsayable)?;
        self.verbatim(sanitize::json(&json))
    }

    /// Writes one line of JSON Lines with a first field `type`, as `run --json` mixes events with its result.
    ///
    /// # Errors
    /// As [`Self::document`].
    pub fn typed_line(&mut self, kind: &'static str, value: &impl Serialize) -> Result<()> {
        #[derive(Serialize)]
        struct Typed<'a, T> {
            r#type: &'static str,
            #[serde(flatten)]
            value: &'a T,
        }
        self.json_line(&Typed { r#type: kind, value })
    }

    /// Says something about what is done, on stderr, unless `-q`. With `--json` stderr holds nothing but an error's document.
    pub fn say(&mut self, text: impl std::fmt::Display) {
        if !self.look.quiet && !self.look.json {
            self.words.flow(text);
        }
    }

    /// Returns what says such words from elsewhere.
    pub fn aside(&self) -> Aside {
        Aside((!self.look.quiet && !self.look.json).then(|| self.words.clone()))
    }

    /// Says something that only `-v` wants to hear.
    pub fn detail(&mut self, text: impl std::fmt::Display) {
        if self.look.verbose && !self.look.quiet {
            self.words.flow(styled(FAINT, text));
        }
    }

    /// Warns of something, on stderr, unless `-q` or `--json`.
    pub fn warn(&mut self, text: impl std::fmt::Display) {
        if !self.look.quiet && !self.look.json {
            self.words.flow(format!("{} {text}", styled(WARN, "warning:")));
        }
    }

    /// Shows why a command failed: words, or with `--json` one JSON object. Always on stderr, `-q` or not.
    pub fn error(&mut self, report: &CliError) {
        if report.is_silent() {
            return;
        }
        if self.look.json {
            let json = serde_json::to_string(&report.to_json()).unwrap_or_default();
            return self.words.lines(sanitize::json(&json));
        }
        let text = report.to_text();
        let text = text.strip_prefix("error:").map(|rest| format!("{}{rest}", styled(BAD, "error:"))).unwrap_or(text);
        // Only the report's own last line begins so: causes and continued lines are indented.
        let text = match text.rsplit_once("\nhint:") {
            Some((before, hint)) => format!("{before}\n{}{hint}", styled(HINT, "hint:")),
            None => text,
        };
        self.words.flow(text);
    }
}

/// Returns the width at which help is laid out: the terminal's, else what COLUMNS says, within reason.
pub fn help_width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
    let said = || Variables::of_process().get("COLUMNS")?.trim().parse::<usize>().ok().filter(|width| *width > 0);
    within_reason(terminal.or_else(said))
}

/// Help is not narrower than its longest words, nor wider than is easy to read.
fn within_reason(width: Option<usize>) -> usize {
    width.unwrap_or(HELP_WIDTH).clamp(HELP_MIN, HELP_MAX)
}

/// Returns the columns of the terminal behind stdout, or stderr; one that does not answer, or says none, counts as 80 wide.
pub fn terminal_width() -> u16 {
    terminal_size::terminal_size().map(|(width, _)| width.0).filter(|width| *width > 0).unwrap_or(80)
}

fn unsayable(error: serde_json::Error) -> CliError {
    // Writing into memory cannot fail, so it is the value: a shape that JSON does not have.
    CliError::fault("the result cannot be written as JSON").source(&error)
}

#[cfg(test)]
pub(crate) mod capture {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    /// A stream that remembers what was written.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A pipe whose reader has gone.
    pub(crate) struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::capture::{Captured, Closed};
    use super::*;
    use crate::cli::error::Exit;

    fn out(look: OutputOptions) -> (Printer, Captured, Captured) {
        let (data, words) = (Captured::default(), Captured::default());
        (Printer::to(look, data.clone(), words.clone(), None), data, words)
    }

    #[test]
    fn data_goes_to_stdout_and_words_to_stderr() {
        let (mut out, data, words) = out(OutputOptions::default());
        out.data("row").unwrap();
        out.say("said");
        out.detail("only with -v");
        out.warn("mind the gap");
        assert_eq!(data.text(), "row\n");
        assert_eq!(words.text(), "said\nwarning: mind the gap\n");
    }

    #[test]
    fn quiet_leaves_data_and_errors() {
        let (mut out, data, words) = out(OutputOptions { quiet: true, verbose: true, ..OutputOptions::default() });
        out.data("row").unwrap();
        out.say("said");
        out.detail("detail");
        out.warn("warning");
        out.error(&CliError::refused("no"));
        assert_eq!((data.text(), words.text()), ("row\n".to_owned(), "error: no\n".to_owned()));
    }

    #[test]
    fn with_json_an_error_is_one_json_object_on_stderr() {
        let (mut out, data, words) = out(OutputOptions { json: true, ..OutputOptions::default() });
        out.error(&CliError::not_found("run `x` is not known").hint("`meno list-runs` shows all"));
        assert_eq!(data.text(), "");
        let json: serde_json::Value = serde_json::from_str(&words.text()).unwrap();
        assert_eq!(json["error"]["kind"], "not_found");
        assert_eq!(json["error"]["exit_code"], 1);
    }

    #[test]
    fn a_typed_line_begins_with_its_type() {
        let (mut out, data, _) = out(OutputOptions::default());
        out.typed_line("run", &serde_json::json!({"a": 1})).unwrap();
        assert_eq!(data.text(), "{\"type\":\"run\",\"a\":1}\n");
    }

    #[test]
    fn colour_marks_words_only_when_wanted() {
        let report = CliError::refused("no").hint("yes");
        let (mut plain, _, words) = out(OutputOptions::default());
        plain.error(&report);
        assert_eq!(words.text(), "error: no\nhint: yes\n");
        let (mut colored, _, words) = out(OutputOptions { color: Color::Always, ..OutputOptions::default() });
        colored.error(&report);
        assert!(words.text().contains("\u{1b}[") && words.text().contains("hint:"));
    }

    #[test]
    fn help_has_a_width_whatever_the_terminal_says() {
        for (said, width) in [(None, 100), (Some(1), 20), (Some(20), 20), (Some(80), 80), (Some(4000), 110)] {
            assert_eq!(within_reason(said), width);
        }
    }

    #[test]
    fn a_closed_pipe_ends_quietly() {
        let words = Captured::default();
        let mut out = Printer::to(OutputOptions::default(), Closed, words.clone(), None);
        let report = out.data("row").unwrap_err();
        assert_eq!(report.exit, Exit::Done);
        out.error(&report);
        assert_eq!(words.text(), "");
    }
}
