//! What models cost that are sold by others than their makers, under other names: Bedrock, Vertex, Azure, OpenRouter. They pass on the
//! makers' list prices.

use crate::domain::ids::TimeNs;
use crate::domain::money::TokenUsage;
use crate::domain::prices::{PriceTable, Priced};
use crate::views::stats::day_of;

/// Words of which the names are made of those who sell other makers' models, and of makers under other names than the price table's. A name
/// with any other word is somebody's own server, whatever else it says.
const SELLERS: [&str; 20] = [
    "ai",
    "amazon",
    "anthropic",
    "aws",
    "az",
    "azure",
    "bedrock",
    "chat",
    "gcp",
    "gemini",
    "gen",
    "generative",
    "google",
    "inference",
    "messages",
    "openai",
    "openrouter",
    "responses",
    "vertex",
    "vertexai",
];

/// How names of models begin, and who makes these.
const MAKERS: [(&str, &str); 9] = [
    ("claude", "anthropic"),
    ("chatgpt", "openai"),
    ("codex", "openai"),
    ("gpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini", "google"),
    ("gemma", "google"),
];

/// Returns what `usage` cost at that moment (ns since the epoch): by the provider's own row, else by the maker's where the provider sells for
/// it. `None` when neither is known.
pub(super) fn price_of(prices: &PriceTable, provider: &str, model: &str, usage: &TokenUsage, at: TimeNs) -> Option<Priced> {
    let day = day_of(at);
    prices.price_on(provider, model, usage, day).or_else(|| {
        let (seller, model) = (provider.to_ascii_lowercase(), plain(model)?);
        let sells = seller.split(['.', '-', '_']).all(|word| SELLERS.contains(&word));
        let (_, maker) = MAKERS.iter().find(|(begin, _)| model.starts_with(begin))?;
        if sells { prices.price_on(maker, &model, usage, day) } else { None }
    })
}

/// Returns a model's name as its maker writes it; `None` for an offer of another price.
fn plain(model: &str) -> Option<String> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.rsplit_once("anthropic.").map_or(name, |(_, name)| name);
    let name = name.strip_suffix("[1m]").unwrap_or(name);
    let (name, offer) = name.split_once(':').unwrap_or((name, ""));
    if offer == "free" {
        return None;
    }
    let is_version =
        |end: &str| end.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    let name = name.rsplit_once('-').filter(|(_, end)| is_version(end)).map_or(name, |(name, _)| name);
    Some(if name.starts_with("claude") { name.replace('.', "-") } else { name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_costs_what_its_maker_asks_whoever_sells_it() {
        let prices = PriceTable::merge([crate::providers::embedded_prices().unwrap()]);
        let usage = TokenUsage { input: 1_000_000, output: 1_000_000, ..TokenUsage::default() };
        let amount = |provider: &str, model: &str| {
            price_of(&prices, provider, model, &usage, 1_790_000_000_000_000_000).map(|priced| priced.amount)
        };
        let own = amount("anthropic", "claude-sonnet-4-5");
        assert!(own.is_some() && amount("openai", "gpt-5").is_some());
        for (provider, model) in [
            ("anthropic", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("anthropic", "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("anthropic", "anthropic/claude-sonnet-4.5"),
            ("anthropic", "claude-sonnet-4-5[1m]"),
            ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("openrouter", "anthropic/claude-sonnet-4.5"),
            ("anthropic.messages", "claude-sonnet-4-5"),
            ("amazon-bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("google.vertex.anthropic.messages", "claude-sonnet-4-5"),
        ] {
            assert_eq!(amount(provider, model), own, "{provider} {model}");
        }
        let by_kits = ["openai.chat", "openai.responses", "azure-openai.chat", "az.ai.openai"];
        for provider in ["azure", "azure.ai.openai", "OpenAI", "openrouter"].into_iter().chain(by_kits) {
            assert_eq!(amount(provider, "openai/gpt-5"), amount("openai", "gpt-5"), "{provider}");
        }
        for (provider, model) in [
            ("my-proxy", "gpt-5"),
            ("my-openai-proxy", "gpt-5"),
            ("", "gpt-5"),
            ("openrouter", "openai/gpt-5:free"),
            ("azure", "my-deployment"),
        ] {
            assert_eq!(amount(provider, model), None, "{provider} {model}");
        }
    }
}
