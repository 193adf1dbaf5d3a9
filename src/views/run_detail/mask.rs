//! Hides sensitive answers in a document that is about to be shown.

use serde_json::Value;

use super::RunDetail;

/// What stands in the place of a value that must not be shown.
pub const MASK: &str = "***";

impl RunDetail {
    /// Replaces the values of sensitive answers, and of agents' configurations that hold one, by [`MASK`].
    ///
    /// Prompts are composed of answers, so they are masked too. Outputs and reports are texts of models: whether they repeat such a
    /// value is not known here, and they are left.
    #[must_use]
    pub(crate) fn masked(mut self) -> Self {
        let mut hidden: Vec<Value> = Vec::new();
        for id in &self.sensitive {
            if let Some(value) = self.answers.get_mut(id).filter(|value| !value.is_null()) {
                hidden.push(std::mem::replace(value, Value::from(MASK)));
            }
        }
        hidden.retain(|value| !matches!(value, Value::Bool(_)));
        if hidden.is_empty() {
            return self;
        }
        for agent in &mut self.agents {
            for value in [&mut agent.config, &mut agent.success_criteria].into_iter().flatten() {
                mask(value, &hidden);
            }
            for text in [&mut agent.task, &mut agent.item].into_iter().flatten() {
                mask_text(text, &hidden);
            }
            mask_text(&mut agent.role, &hidden);
            for criterion in agent.attempts.iter_mut().flat_map(|attempt| &mut attempt.criteria) {
                let texts = [&mut criterion.name, &mut criterion.evidence];
                texts.into_iter().flatten().for_each(|text| mask_text(text, &hidden));
            }
            agent.attempts.iter_mut().filter_map(|attempt| attempt.task.as_mut()).for_each(|text| mask_text(text, &hidden));
            let calls = agent.attempts.iter_mut().flat_map(|attempt| &mut attempt.calls);
            for tool in calls.flat_map(|call| &mut call.tools) {
                [&mut tool.arguments, &mut tool.result].into_iter().flatten().for_each(|text| mask_text(text, &hidden));
            }
            let prompts =
                agent.attempts.iter_mut().flat_map(|attempt| &mut attempt.calls).filter_map(|call| call.prompt.as_mut());
            for prompt in prompts {
                let texts = [&mut prompt.system, &mut prompt.user, &mut prompt.transcript];
                texts.into_iter().flatten().for_each(|text| mask_text(text, &hidden));
            }
        }
        for rule in &mut self.skipped_rules {
            if rule.question.as_ref().is_some_and(|question| self.sensitive.contains(question)) {
                rule.because = Some(MASK.to_owned());
            }
        }
        self
    }
}

impl RunDetail {
    /// Masks the values of sensitive answers in a text about this run.
    pub(crate) fn mask_in(&self, text: &mut String) {
        let hidden = self.sensitive.iter().filter_map(|id| self.answers.get(id)).filter(|value| !value.is_boolean());
        mask_text(text, &hidden.cloned().collect::<Vec<_>>());
    }
}

/// Masks every place of `value` that holds one of `hidden`, whole or within a text.
fn mask(value: &mut Value, hidden: &[Value]) {
    if hidden.contains(value) {
        *value = Value::from(MASK);
        return;
    }
    match value {
        Value::String(text) => mask_text(text, hidden),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, hidden)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask(field, hidden)),
        _ => {}
    }
}

fn mask_text(text: &mut String, hidden: &[Value]) {
    for value in hidden {
        match value {
            Value::String(secret) if !secret.is_empty() && text.contains(secret.as_str()) => {
                *text = text.replace(secret.as_str(), MASK)
            }
            Value::Array(items) => mask_text(text, items),
            _ => {}
        }
    }
}
