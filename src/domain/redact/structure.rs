//! Secrets in JSON values, which are told by the names of their fields: `{"password": "hunter2"}` looks like nothing by itself.

use serde_json::{Map, Value};

use super::Redactor;

/// What stands in the place of such a secret.
const MARK: &str = "[redacted:secret]";

/// Ends of names whose values are secrets whatever they look like; without `_`, `-` and capitals.
const SECRETS: [&str; 30] = [
    "password",
    "passwordconfirm",
    "passwordconfirmation",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "apikey",
    "secretkey",
    "secretaccesskey",
    "accesskey",
    "accountkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "servicekey",
    "authkey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "bearertoken",
    "apitoken",
    "idtoken",
    "sessiontoken",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "onetimecode",
];

/// Ends of names of tokens that say where one is in a list, and open nothing.
const PLACES: [&str; 6] = ["pagetoken", "nexttoken", "continuationtoken", "synctoken", "cancellationtoken", "startingtoken"];

/// What the name of a field says of its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// It is a secret.
    Secret,
    /// It is one if it looks generated.
    Token,
    /// Nothing.
    Other,
}

fn named(name: &str) -> Named {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let plain = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    if SECRETS.iter().any(|end| plain.ends_with(end)) {
        Named::Secret
    } else if plain.ends_with("token") && !PLACES.iter().any(|end| plain.ends_with(end)) {
        Named::Token
    } else {
        Named::Other
    }
}

/// Tells whether a value only says where a secret is found, or that there is none.
fn is_reference(text: &str) -> bool {
    let text = text.trim();
    let is_mask = text.chars().all(|c| matches!(c, '*' | '•' | '.'));
    is_mask || ["$", "<", "{{", "%(", "[redacted:"].iter().any(|begin| text.starts_with(begin))
}

fn is_secret(value: &str, named: Named) -> bool {
    /// A shorter token is a word.
    const TOKEN_MIN: usize = 8;
    match named {
        Named::Other => false,
        _ if is_reference(value) => false,
        Named::Secret => true,
        Named::Token => value.len() >= TOKEN_MIN && value.bytes().any(|byte| byte.is_ascii_digit()),
    }
}

impl Redactor {
    /// Redacts a value that a model wrote: what stands behind the name of a secret, and the texts and names in it as any output.
    pub fn redact_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let std::borrow::Cow::Owned(redacted) = self.redact_output(text) {
                    *text = redacted;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_value(item)),
            Value::Object(fields) => self.redact_fields(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn redact_fields(&self, fields: &mut Map<String, Value>) {
        // `{"name": "password", "value": "…"}` says it in two fields.
        let told = ["name", "key", "field", "id"].into_iter().filter_map(|key| fields.get(key)?.as_str());
        let of_pair = told.map(named).find(|named| *named != Named::Other).unwrap_or(Named::Other);
        for (name, value) in fields.iter_mut() {
            let named = match named(name) {
                Named::Other if name == "value" => of_pair,
                named => named,
            };
            hide(value, named);
            self.redact_value(value);
        }
        if fields.keys().any(|name| self.finds(name)) {
            let renamed = std::mem::take(fields).into_iter().map(|(name, value)| (self.redact_output(&name).into_owned(), value));
            *fields = renamed.collect();
        }
    }

    /// Tells whether [`Self::redact_value`] would change a value.
    pub fn finds_in_value(&self, value: &Value) -> bool {
        let mut redacted = value.clone();
        self.redact_value(&mut redacted);
        redacted != *value
    }

    /// Redacts a text that a program wrote as JSON for another one, such as the arguments of a tool; any other text as [`Self::redact`] does.
    pub fn redact_arguments(&self, text: &str) -> String {
        let redacted = match serde_json::from_str::<Value>(text) {
            Ok(mut value) if self.finds_in_value(&value) => {
                self.redact_value(&mut value);
                value.to_string()
            }
            _ => text.to_owned(),
        };
        self.redact(&redacted).into_owned()
    }
}

/// Puts a mark in the place of texts and numbers that are secrets by their name; objects say by their own names what is in them.
fn hide(value: &mut Value, named: Named) {
    match value {
        Value::String(text) if is_secret(text, named) => *value = Value::String(MARK.to_owned()),
        Value::Number(_) if named == Named::Secret => *value = Value::String(MARK.to_owned()),
        Value::Array(items) => items.iter_mut().filter(|item| !item.is_object()).for_each(|item| hide(item, named)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(mut value: Value) -> Value {
        Redactor::default().redact_value(&mut value);
        value
    }

    #[test]
    fn values_behind_names_of_secrets_go_whatever_they_look_like() {
        for (name, value) in [
            ("password", json!("hunter2abc")),
            ("dbPassword", json!("x")),
            ("PASSWD", json!("correct horse")),
            ("client_secret", json!("s")),
            ("x-api-key", json!("abcdefgh")),
            ("api_key2", json!("abcdefgh")),
            ("Authorization", json!("Basic abc")),
            ("pwd", json!(123_456)),
            ("access_token", json!("abc")),
            ("token", json!("abcdefgh1")),
            ("passwords", json!(["a", "b"])),
        ] {
            let name = name.trim_end_matches('s');
            let expected = if value.is_array() { json!([MARK, MARK]) } else { json!(MARK) };
            let shown = redacted(json!({"url": "https://x", "in": {name: value}}));
            assert_eq!(shown, json!({"url": "https://x", "in": {name: expected}}), "{name}");
            assert_eq!(redacted(shown.clone()), shown, "twice");
        }
        assert_eq!(
            redacted(json!([{"name": "password", "value": "hunter2abc"}, {"key": "color", "value": "red"}])),
            json!([{"name": "password", "value": MARK}, {"key": "color", "value": "red"}])
        );
    }

    #[test]
    fn what_only_resembles_a_secret_stays() {
        for value in [
            json!({"password": "$DB_PASSWORD", "secret": "<your secret>", "api_key": "{{key}}", "pwd": "****", "token": ""}),
            json!({"token": "fn", "next_page_token": "CAUQAA12345678", "max_tokens": 4096, "tokens": 12_345_678}),
            json!({"password_hash": "5f4dcc3b", "secret_name": "db", "key": "color", "passwordless": true, "keyboard": "x"}),
            json!({"properties": {"password": {"type": "string", "description": "The password"}}}),
            json!({"password": null, "secret": false}),
        ] {
            assert_eq!(redacted(value.clone()), value);
            assert!(!Redactor::default().finds_in_value(&value));
        }
    }

    #[test]
    fn texts_and_names_inside_are_redacted_like_any_text() {
        let value = json!({"command": "export K=sk-ant-api03-AbCdEf123456_-x", "ghp_a1B2c3D4e5a1B2c3D4e5a1B2": 1});
        assert_eq!(redacted(value), json!({"command": "export K=[redacted:anthropic-key]", "[redacted:github-token]": 1}));
        let redactor = Redactor::default();
        assert_eq!(redactor.redact_arguments(r#"{"password":"hunter2abc"}"#), r#"{"password":"[redacted:secret]"}"#);
        assert_eq!(redactor.redact_arguments(r#"{"b": 1,  "a": 2}"#), r#"{"b": 1,  "a": 2}"#, "nothing else is changed");
        assert_eq!(redactor.redact_arguments("password hunter2abc"), "password hunter2abc");
    }
}
