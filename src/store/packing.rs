//! Packing of pages and blocks (Zstandard, RFC 8878), with one context of each kind per thread: making one takes as long as unpacking a page.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// The level: a quarter to a third remains, at several hundred MB/s.
const LEVEL: i32 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Returns `body` packed, if that is shorter.
pub(super) fn packed(body: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Compressor::new(LEVEL).ok();
        }
        context.as_mut()?.compress(body).ok().filter(|packed| packed.len() < body.len())
    })
}

/// Returns the body of `length` bytes that was [`packed`]; `None` for anything else.
pub(super) fn unpacked(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Decompressor::new().ok();
        }
        context.as_mut()?.decompress(packed, length).ok().filter(|body| body.len() == length)
    })
}
