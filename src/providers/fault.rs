//! What went wrong and what may be done about it: every way in which a provider says no, as one of the error classes.
//!
//! The classes decide whether a request is repeated, whether another provider takes over, and whether an agent may escalate
//! to dearer models, so the mapping is strict: what a user's configuration causes is never cured by money. It knows
//! statuses, codes and texts, not sockets; texts are redacted by the caller.

use serde_json::Value;

use crate::domain::event::ErrorClass;
use crate::domain::lenient_json;

/// A failure of one try, before it is redacted and dated.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What kind of failure.
    pub class: ErrorClass,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The provider's code.
    pub code: Option<String>,
    /// What happened.
    pub message: String,
    /// The same request may succeed later.
    pub retryable: bool,
    /// The provider's id of the request.
    pub request_id: Option<String>,
}

impl Fault {
    /// Returns a failure without status and code that may pass.
    pub fn passing(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, status: None, code: None, message: message.into(), retryable: true, request_id: None }
    }

    /// Returns a failure without status and code that will not pass.
    pub fn lasting(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { retryable: false, ..Self::passing(class, message) }
    }
}

/// What a provider's error says, wherever it stood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorBody {
    /// The machine's words: type and code, the most special last.
    pub codes: Vec<String>,
    /// The text for people.
    pub message: String,
    /// A status that the body itself names.
    pub status: Option<u16>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
}

impl ErrorBody {
    /// Reads an error object: `{"error": {…}}`, `{"error": "text"}`, `{"type": "error", …}`, a Responses `error` event,
    /// or whatever else has a message. `None` when `value` holds no error.
    pub fn of(value: &Value) -> Option<Self> {
        // One error in a list of errors, as Google's gateway sends it.
        if let Some([only]) = value.as_array().map(Vec::as_slice) {
            return Self::of(only);
        }
        let request_id = text(value, "request_id");
        let error = match value.get("error") {
            Some(Value::Null) | None => {
                let bare = value.get("type").and_then(Value::as_str) == Some("error") || value.get("choices").is_none();
                let message = ["message", "detail", "msg"].into_iter().find_map(|key| text(value, key));
                return match (bare, message) {
                    (true, Some(_)) => Some(Self::read(value, request_id)),
                    _ => None,
                };
            }
            Some(Value::String(message)) => {
                let codes = text(value, "code").into_iter().collect();
                return Some(Self { codes, message: message.clone(), status: None, request_id });
            }
            Some(error) => error,
        };
        Some(Self::read(error, request_id))
    }

    fn read(error: &Value, request_id: Option<String>) -> Self {
        let mut body = Self { request_id, ..Self::default() };
        let details = error.get("details").and_then(|details| text(details, "error_code"));
        for code in [text(error, "type"), text(error, "status"), text(error, "code"), details].into_iter().flatten() {
            match code.parse() {
                Ok(status @ 400..=599) => body.status = Some(status),
                _ if code == "error" || code == "null" => {}
                _ => body.codes.push(code),
            }
        }
        body.message = ["message", "detail", "msg"].into_iter().find_map(|key| text(error, key)).unwrap_or_default();
        body
    }

    fn any_code(&self, test: impl Fn(&str) -> bool) -> bool {
        self.codes.iter().any(|code| test(&code.to_ascii_lowercase()))
    }
}

/// Returns a member as text, be it a string or a number.
fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns what an answer with an error status means.
pub fn of_status(status: u16, body: &str) -> Fault {
    let error = lenient_json::read(json_of(body).as_bytes()).ok().and_then(|value| ErrorBody::of(&value));
    let error = error.unwrap_or_else(|| ErrorBody { message: body.trim().to_owned(), ..ErrorBody::default() });
    classify(Some(status), error)
}

/// Returns the JSON in the body of an error: without a byte order mark, and without the frame of an event that some gateways put
/// around it as around everything else.
fn json_of(body: &str) -> &str {
    let body = body.trim_start_matches('\u{feff}').trim();
    if body.starts_with("data:") || body.starts_with("event:") {
        let data = body.lines().find_map(|line| line.strip_prefix("data:"));
        return data.map_or(body, str::trim);
    }
    body
}

/// Returns what an error inside a reply with status 200 means.
pub fn in_stream(error: ErrorBody) -> Fault {
    classify(None, error)
}

fn classify(status: Option<u16>, mut error: ErrorBody) -> Fault {
    error.codes.iter_mut().chain([&mut error.message]).chain(&mut error.request_id).for_each(lenient_json::mend);
    let effective = status.or(error.status).or_else(|| error.codes.iter().rev().find_map(|code| status_of(code)));
    let message = error.message.to_ascii_lowercase();
    let (class, retryable) = if error.any_code(is_money) || (money_status(effective) && speaks_of_money(&message)) {
        (ErrorClass::Quota, false)
    } else if error.any_code(is_context) || (context_status(effective) && speaks_of_context(&message)) {
        (ErrorClass::Context, false)
    } else if error.any_code(|code| matches!(code, "model_not_found" | "unknown_model" | "model_not_supported")) {
        (ErrorClass::UnknownModel, false)
    } else {
        match effective {
            Some(402) => (ErrorClass::Quota, false),
            Some(401 | 403) => (ErrorClass::Auth, false),
            // A wrong path answers 404 as well; only what speaks of a model is about the model.
            Some(404) if message.contains("model") || error.any_code(|code| code == "not_found_error") => {
                (ErrorClass::UnknownModel, false)
            }
            Some(429) => (ErrorClass::RateLimit, true),
            Some(501 | 505) => (ErrorClass::Server, false),
            Some(408 | 409 | 500..) => (ErrorClass::Server, true),
            Some(_) => (ErrorClass::BadRequest, false),
            // An error in the middle of a reply that says nothing about itself: the request had been accepted.
            None if message.contains("model") && message.contains("not found") => (ErrorClass::UnknownModel, false),
            None => (ErrorClass::Server, true),
        }
    };
    let code = error.codes.last().cloned();
    Fault { class, status, code, message: error.message, retryable, request_id: error.request_id }
}

/// Returns the status that an error type stands for where no status is left to see.
fn status_of(code: &str) -> Option<u16> {
    Some(match code {
        "invalid_request_error" | "invalid_prompt" | "bad_request" | "BadRequestError" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "timeout_error" | "vector_store_timeout" => 504,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "rate_limited" | "too_many_requests" | "slow_down" => 429,
        "api_error" | "server_error" | "internal_server_error" | "internal_error" => 500,
        "overloaded_error" | "overloaded" | "service_unavailable" => 529,
        _ => return None,
    })
}

/// Money codes end no sooner by waiting.
fn is_money(code: &str) -> bool {
    code.ends_with("spend_limit_reached")
        || matches!(
            code,
            "insufficient_quota"
                | "credit_balance_exhausted"
                | "credit_balance_too_low"
                | "billing_error"
                | "billing_hard_limit_reached"
                | "billing_not_active"
                | "insufficient_balance"
                | "insufficient_credits"
                | "payment_required"
        )
}

/// Where a text about money is believed: 400 and 403 are used for spend limits too.
fn money_status(status: Option<u16>) -> bool {
    matches!(status, None | Some(400 | 402 | 403 | 429))
}

fn speaks_of_money(message: &str) -> bool {
    [
        "exceeded your current quota",
        "credit balance",
        "spend limit",
        "spending limit",
        "spend cap",
        "usage limits. you will regain access",
        "insufficient balance",
        "insufficient credits",
        "requires more credits",
        "billing hard limit",
    ]
    .iter()
    .any(|phrase| message.contains(phrase))
}

fn is_context(code: &str) -> bool {
    matches!(
        code,
        "context_length_exceeded"
            | "exceed_context_size_error"
            | "model_context_window_exceeded"
            | "context_window_exceeded"
            | "contextwindowexceedederror"
            | "prompt_too_long"
    )
}

fn context_status(status: Option<u16>) -> bool {
    matches!(status, None | Some(400 | 422))
}

fn speaks_of_context(message: &str) -> bool {
    [
        "prompt is too long",
        "context_length_exceeded",
        "exceed_context_size_error",
        "model_context_window_exceeded",
        "maximum context length",
        "exceed context limit",
        "exceeds the context window",
        "exceeds the available context size",
        "exceeds the model's context",
        "input length exceeds the context length",
        "contextwindowexceedederror",
    ]
    .iter()
    .any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, class: ErrorClass, retryable: bool, code: Option<&str>) {
        let fault = of_status(status, body);
        assert_eq!((fault.class, fault.retryable, fault.code.as_deref()), (class, retryable, code), "{status} {body}");
    }

    #[test]
    fn servers_in_trouble_are_asked_again() {
        for status in [408, 409, 500, 502, 503, 504, 520, 529] {
            check(status, "<html>gateway</html>", ErrorClass::Server, true, None);
        }
        check(501, "", ErrorClass::Server, false, None);
        check(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
            ErrorClass::Server,
            true,
            Some("overloaded_error"),
        );
    }

    #[test]
    fn a_full_rate_passes_and_an_empty_purse_does_not() {
        use ErrorClass::{Quota, RateLimit};
        let openai = |code: &str| format!(r#"{{"error":{{"message":"m","type":"requests","code":"{code}"}}}}"#);
        check(429, &openai("rate_limit_exceeded"), RateLimit, true, Some("rate_limit_exceeded"));
        for code in
            ["insufficient_quota", "credit_balance_exhausted", "enforced_spend_limit_reached", "contract_spend_limit_reached"]
        {
            check(429, &openai(code), Quota, false, Some(code));
        }
        let anthropic = |code: &str| {
            format!(
                r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"m","details":{{"error_code":"{code}"}}}}}}"#
            )
        };
        check(429, &anthropic("enforced_spend_limit_reached"), Quota, false, Some("enforced_spend_limit_reached"));
        check(429, &anthropic("ramp_limit_exceeded"), RateLimit, true, Some("ramp_limit_exceeded"));
        check(402, "", Quota, false, None);
        let low = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#;
        check(400, low, Quota, false, Some("invalid_request_error"));
    }

    #[test]
    fn an_overflowing_context_is_no_ordinary_bad_request() {
        use ErrorClass::{BadRequest, Context};
        let anthropic = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
        check(400, anthropic, Context, false, Some("invalid_request_error"));
        let llama = r#"{"error":{"code":400,"message":"request (9 tokens) exceeds the available context size","type":"exceed_context_size_error"}}"#;
        check(400, llama, Context, false, Some("exceed_context_size_error"));
        let openai = r#"{"error":{"message":"too many","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        check(400, openai, Context, false, Some("context_length_exceeded"));
        let lite = r#"{"error":{"message":"ContextWindowExceededError: …","type":null,"param":null,"code":"400"}}"#;
        check(400, lite, Context, false, None);
        check(
            400,
            r#"{"error":{"message":"temperature: unknown","type":"invalid_request_error"}}"#,
            BadRequest,
            false,
            Some("invalid_request_error"),
        );
        check(500, r#"{"error":"the prompt is too long to print"}"#, ErrorClass::Server, true, None);
    }

    #[test]
    fn mistakes_of_the_configuration_are_final() {
        use ErrorClass::{Auth, BadRequest, UnknownModel};
        for (status, class) in
            [(401, Auth), (403, Auth), (404, BadRequest), (413, BadRequest), (422, BadRequest), (308, BadRequest)]
        {
            check(status, r#"{"error":{"message":"no"}}"#, class, false, None);
        }
        check(404, r#"{"error":"model 'llama9' not found"}"#, UnknownModel, false, None);
        check(
            404,
            r#"{"type":"error","error":{"type":"not_found_error","message":"claude-x"}}"#,
            UnknownModel,
            false,
            Some("not_found_error"),
        );
        check(400, r#"{"error":{"message":"no such","code":"model_not_found"}}"#, UnknownModel, false, Some("model_not_found"));
    }

    #[test]
    fn errors_inside_a_reply_mean_what_their_type_says() {
        let class = |text: &str| {
            let fault = in_stream(ErrorBody::of(&serde_json::from_str(text).unwrap()).unwrap());
            (fault.class, fault.retryable)
        };
        assert_eq!(class(r#"{"type":"error","error":{"type":"overloaded_error","message":"o"}}"#), (ErrorClass::Server, true));
        assert_eq!(class(r#"{"error":{"code":502,"message":"upstream"}}"#), (ErrorClass::Server, true));
        assert_eq!(class(r#"{"error":{"code":"429","message":"slow"}}"#), (ErrorClass::RateLimit, true));
        assert_eq!(class(r#"{"type":"error","code":"insufficient_quota","message":"pay"}"#), (ErrorClass::Quota, false));
        assert_eq!(
            class(r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}"#),
            (ErrorClass::BadRequest, false)
        );
        assert_eq!(class(r#"{"error":"CUDA out of memory"}"#), (ErrorClass::Server, true));
        assert_eq!(class(r#"{"error":"model \"x\" not found, try pulling it"}"#), (ErrorClass::UnknownModel, false));
    }

    #[test]
    fn an_error_is_read_however_carelessly_it_is_sent() {
        let quota = (ErrorClass::Quota, "pay \u{fffd}");
        for body in [
            r#"{"error":{"code":"insufficient_quota","message":"pay \ud83e"}}"#,
            r#"[{"error":{"code":"insufficient_quota","message":"pay \ud83e"}}]"#,
            "\u{feff}{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"pay \\ud83e\"}}",
            "event: error\r\ndata: {\"error\":{\"code\":\"insufficient_quota\",\"message\":\"pay \\ud83e\",\"x\":NaN}}\r\n\r\n",
        ] {
            let fault = of_status(429, body);
            assert_eq!((fault.class, fault.message.as_str()), quota, "{body}");
        }
        assert_eq!(of_status(500, "data: {").message, "data: {");
    }

    #[test]
    fn what_is_no_error_is_not_read_as_one() {
        for text in [r#"{"choices":[],"message":"x"}"#, r#"{"error":null,"choices":[]}"#, "{}", "[]", "1", r#"{"id":"x"}"#] {
            assert_eq!(ErrorBody::of(&serde_json::from_str(text).unwrap()), None, "{text}");
        }
    }
}
