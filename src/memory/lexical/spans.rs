//! The analyzer that cuts a text into words, those of scripts without spaces into pairs of characters.

use super::{Token, TokenStream, Tokenizer, words};

/// Finds the words of a text.
#[derive(Clone, Default)]
pub(super) struct Spans(Token);

pub(super) struct SpanStream<'a> {
    text: &'a str,
    rest: words::Spans<'a>,
    token: &'a mut Token,
}

impl Tokenizer for Spans {
    type TokenStream<'a> = SpanStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> SpanStream<'a> {
        self.0.reset();
        SpanStream { text, rest: words::spans(text), token: &mut self.0 }
    }
}

impl TokenStream for SpanStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(span) = self.rest.next() else { return false };
        self.token.position = self.token.position.wrapping_add(1);
        (self.token.offset_from, self.token.offset_to) = (span.start, span.end);
        self.token.text.clear();
        self.token.text.push_str(&self.text[span]);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
