//! The analyzer of what is no plain word: kept as it is written but in lower case, like `release_prep`, `v1.2.3`, `src/main.rs`, `E0502`.

use super::{Token, TokenStream, Tokenizer, words};

/// Finds identifiers in a text.
#[derive(Clone, Default)]
pub(super) struct Identifiers(Token);

pub(super) struct IdentifierStream<'a> {
    rest: std::vec::IntoIter<words::Identifier>,
    token: &'a mut Token,
}

impl Tokenizer for Identifiers {
    type TokenStream<'a> = IdentifierStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> IdentifierStream<'a> {
        self.0.reset();
        IdentifierStream { rest: words::identifiers(text).into_iter(), token: &mut self.0 }
    }
}

impl TokenStream for IdentifierStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(identifier) = self.rest.next() else { return false };
        self.token.position = self.token.position.wrapping_add(1);
        (self.token.offset_from, self.token.offset_to) = (identifier.range.start, identifier.range.end);
        self.token.text = identifier.text;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
