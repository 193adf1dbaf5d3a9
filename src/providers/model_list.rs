//! Which models a server on this machine has: asked before a run, because asking costs nothing.

use std::time::Duration;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::http;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a list that are read.
const LIST_BYTES_MAX: usize = 1 << 20;

/// Returns the names of the models that the Ollama server at `base_url` has; `None` when it does not say.
pub fn ollama(base_url: &str) -> Option<Vec<String>> {
    let endpoint = Endpoint::parse(&format!("{}/api/tags", base_url.trim_end_matches('/')), false).ok()?;
    // A thread of its own, because whoever asks may be within a runtime.
    let ask = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let asked = async {
            let response = http::get(&endpoint, PATIENCE).await.ok()?;
            (response.status() == 200).then_some(response)?.text(LIST_BYTES_MAX).await.into()
        };
        runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await.ok().flatten() })
    };
    let text: String = std::thread::Builder::new().spawn(ask).ok()?.join().ok()??;
    names(&text)
}

fn names(list: &str) -> Option<Vec<String>> {
    let list: Value = serde_json::from_str(list).ok()?;
    let models = list.get("models")?.as_array()?;
    models.iter().map(|model| model.get("name")?.as_str().map(str::to_owned)).collect()
}

/// Tells whether a list of Ollama names a model; without a tag the tag `latest` is meant.
pub fn has(names: &[String], model: &str) -> bool {
    fn whole(name: &str) -> &str {
        name.strip_suffix(":latest").unwrap_or(name)
    }
    names.iter().any(|name| whole(name).eq_ignore_ascii_case(whole(model)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_models_with_or_without_their_tag() {
        let list = names(r#"{"models": [{"name": "llama3.2:latest", "size": 1}, {"name": "qwen3:8b"}]}"#).unwrap();
        assert!(has(&list, "llama3.2") && has(&list, "llama3.2:latest") && has(&list, "qwen3:8b"));
        assert!(!has(&list, "qwen3") && !has(&list, "llama3.2:1b"));
        assert_eq!(names("{\"models\": [{}]}"), None);
        assert_eq!(names("not found"), None);
    }
}
