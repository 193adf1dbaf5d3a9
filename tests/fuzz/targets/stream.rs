//! A provider's bytes decode to the same, however they are cut into pieces, and never end the program.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meno::providers::wire::Decoder;
use meno::settings::ProviderKind;

const KINDS: [ProviderKind; 4] =
    [ProviderKind::Anthropic, ProviderKind::OpenaiChat, ProviderKind::OpenaiResponses, ProviderKind::Ollama];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, stream)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    let decode = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut decoder = Decoder::new(kind);
        let pushed = pieces.try_for_each(|piece| decoder.push(piece).map_err(|fault| fault.class));
        pushed.map(|()| decoder.finish().map_err(|ended| ended.0.class).map(|draft| (draft.stop_reason(), draft.tool_calls())))
    };
    let whole = decode(&mut std::iter::once(stream));
    let pieces = decode(&mut stream.chunks(usize::from(*choice % 7) + 1));
    assert_eq!(whole, pieces);
});
