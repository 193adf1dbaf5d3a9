//! Charts: documents in, drawings out, as SVG for pages and as text for terminals.
//!
//! Pure, and the same for the same data. [`drawing`] holds shapes and writes SVG; [`axis`] knows round steps and leaves out labels for
//! which there is no room; [`stacked`], [`intervals`], [`timeline`] and [`graph`] lay shapes out and know nothing of what they show;
//! [`costs`], [`outcomes`] and [`rules`] say what of a document is drawn. Colours are classes of [`STYLE`]. Nothing is fetched, every
//! stored text is escaped, and what is not known is drawn as not known.

pub mod axis;
pub mod calendar;
pub mod costs;
pub mod drawing;
pub mod graph;
pub mod intervals;
pub mod outcomes;
pub mod rules;
pub mod spark;
pub mod stacked;
pub mod terminal;
pub mod text;
pub mod timeline;

use drawing::Drawing;

/// The style sheet of all drawings, light and dark.
pub const STYLE: &str = include_str!("style.css");

/// Width of a drawing on a wide page in pixels.
pub const WIDE: f64 = 860.0;
/// Width of a drawing where there is room for it: a large screen.
pub const VAST: f64 = 1300.0;
/// Width of a drawing on a narrow one: a telephone of 360 pixels less its margins.
pub const NARROW: f64 = 328.0;

/// Writes a figure: drawn for narrow, wide and large pages, of which the style sheet shows the one that fits; `caption` under it.
pub fn figure(draw: impl Fn(f64) -> Drawing, caption: &str) -> String {
    let (vast, wide, narrow) = (draw(VAST).to_svg(), draw(WIDE).to_svg(), draw(NARROW).to_svg());
    let caption = caption_of(caption);
    format!(
        "<figure class=\"figure\"><div class=\"vast\">{vast}</div><div class=\"broad\">{wide}</div><div class=\"slim\">{narrow}</div>{caption}</figure>"
    )
}

/// Writes a figure of stacked bars, which is as wide as its room.
pub fn fluid(bars: &stacked::StackedBars, caption: &str) -> String {
    bars.figure(&[("vast", VAST), ("broad", WIDE), ("slim", NARROW)], &caption_of(caption))
}

/// Writes a figure that has one width of its own and is scrolled where there is less room.
pub fn scrolled(drawing: &Drawing, caption: &str) -> String {
    let svg = drawing.to_svg();
    format!("<figure class=\"figure\"><div class=\"scroll\" tabindex=\"0\">{svg}</div>{}</figure>", caption_of(caption))
}

fn caption_of(caption: &str) -> String {
    if caption.is_empty() { String::new() } else { format!("<figcaption>{}</figcaption>", text::escape(caption)) }
}
