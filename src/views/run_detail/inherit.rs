//! Attempts that another run made and that count in this one, and the words for how attempts end.

use crate::domain::event::{AttemptInherited, AttemptOutcome, JudgedBy};
use crate::domain::ids::TimeNs;
use crate::views::status::{AgentStatus, AttemptStatus};
use crate::views::utc;

use super::CriterionDetail;
use super::fold::{Fold, TextOf};

impl Fold {
    pub(super) fn inherit(&mut self, body: &AttemptInherited, at: TimeNs, text: TextOf<'_>) {
        let (agent, attempt) = self.attempt(body.agent, body.attempt, body.tier);
        let agent = &mut self.detail.agents[agent];
        agent.tier = Some(body.tier);
        agent.status = AgentStatus::Running;
        let attempt = &mut agent.attempts[attempt];
        attempt.inherited_from = Some(body.run.to_string());
        attempt.started_at = utc(at);
        attempt.provider = Some(body.provider.clone()).filter(|provider| !provider.is_empty());
        attempt.model = Some(body.model.clone()).filter(|model| !model.is_empty());
        attempt.status = ended(body.outcome);
        attempt.verified = body.verified;
        attempt.stop_reason = body.stop;
        attempt.signals.clone_from(&body.signals);
        let private = body.private.as_ref();
        let planned = self.criteria.get(&body.agent);
        attempt.output = private.and_then(|private| private.output.as_ref()).and_then(text);
        attempt.criteria = body
            .verdicts
            .iter()
            .enumerate()
            .map(|(index, verdict)| {
                let words = private.and_then(|private| private.criteria.get(index));
                CriterionDetail {
                    criterion: verdict.criterion,
                    name: words.map(|(name, _)| name.clone()).or_else(|| planned?.get(verdict.criterion as usize).cloned()),
                    verdict: verdict.verdict,
                    score: verdict.score,
                    evidence: words.map(|(_, evidence)| evidence.clone()),
                    by: judge_name(verdict.by).to_owned(),
                }
            })
            .collect();
    }
}

/// Returns where an attempt stands that ended so.
pub(super) fn ended(outcome: AttemptOutcome) -> AttemptStatus {
    match outcome {
        AttemptOutcome::Passed => AttemptStatus::Passed,
        AttemptOutcome::FailedCriteria => AttemptStatus::FailedCriteria,
        AttemptOutcome::Error => AttemptStatus::Error,
        AttemptOutcome::Cancelled => AttemptStatus::Cancelled,
        AttemptOutcome::Lost => AttemptStatus::Lost,
    }
}

/// Returns the name by which who judged is told.
pub(super) fn judge_name(by: JudgedBy) -> &'static str {
    match by {
        JudgedBy::Code => "code",
        JudgedBy::Model(_) => "model",
        JudgedBy::Nobody => "nobody",
    }
}
