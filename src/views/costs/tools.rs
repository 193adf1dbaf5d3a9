//! How often tools ran and for how long, by UTC quarter hour and by everything that costs can be asked by. Tools cost no money of their
//! own: what their turns cost stands in the charges.

use serde::{Deserialize, Serialize};

use super::CostKey;
use crate::domain::event::{Mode, Purpose};
use crate::domain::tier::Tier;
use crate::views::rows::{Key, KeyReader};

/// First byte of the keys of these sums.
pub const KIND: u8 = b't';

/// What a sum of tool calls is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolKey {
    /// The quarter hour in which they ended, in UTC quarter hours since the epoch.
    pub quarter: i64,
    /// Whether the models that asked were real.
    pub mode: Mode,
    /// The tool, as the model named it.
    pub tool: String,
    /// The provider of the call that asked, by its name in the settings; empty when not known.
    pub provider: String,
    /// The model that asked; empty when not known.
    pub model: String,
    /// The tier of the agent that asked.
    pub tier: Tier,
    /// The template's id.
    pub template: String,
    /// The agent's role.
    pub role: String,
    /// The folder that the run was started in; empty when not known.
    pub workspace: String,
    /// The run's labels as `key=value`, sorted, one per line.
    pub labels: String,
}

/// A sum of tool calls that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSum {
    /// All of them.
    pub calls: u64,
    /// Of them, those that did not do what they were asked.
    pub failed: u64,
    /// How long they ran together, in milliseconds.
    pub duration_ms: u64,
}

impl ToolSum {
    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
    }
}

impl ToolKey {
    /// Returns the key's bytes; they begin with the quarter hour.
    pub fn to_bytes(&self) -> Vec<u8> {
        Self::from_quarter(self.quarter)
            .byte(self.mode as u8)
            .text(&self.tool)
            .text(&self.provider)
            .text(&self.model)
            .byte(self.tier as u8)
            .text(&self.template)
            .text(&self.role)
            .text(&self.workspace)
            .text(&self.labels)
            .finish()
    }

    /// Returns the beginning of the keys of a quarter hour.
    pub fn from_quarter(quarter: i64) -> Key {
        Key::new(KIND).signed(quarter)
    }

    /// Reads a key.
    pub fn read(key: &[u8]) -> Option<Self> {
        let mut reader = KeyReader::new(key);
        Some(Self {
            quarter: reader.signed()?,
            mode: {
                let byte = reader.byte()?;
                [Mode::Real, Mode::Simulated, Mode::Imported].into_iter().find(|mode| *mode as u8 == byte)?
            },
            tool: reader.text()?.to_owned(),
            provider: reader.text()?.to_owned(),
            model: reader.text()?.to_owned(),
            tier: {
                let byte = reader.byte()?;
                Tier::ALL.into_iter().find(|tier| *tier as u8 == byte)?
            },
            template: reader.text()?.to_owned(),
            role: reader.text()?.to_owned(),
            workspace: reader.text()?.to_owned(),
            labels: reader.text()?.to_owned(),
        })
    }

    /// Returns the key that charges of the same work have.
    pub fn as_charge(&self) -> CostKey {
        CostKey {
            quarter: self.quarter,
            mode: self.mode,
            provider: self.provider.clone(),
            model: self.model.clone(),
            tier: self.tier,
            template: self.template.clone(),
            role: self.role.clone(),
            purpose: Purpose::Work,
            workspace: self.workspace.clone(),
            labels: self.labels.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_lies_in_its_quarter_hour() {
        let key = ToolKey {
            quarter: -3,
            mode: Mode::Imported,
            tool: "run\0command".to_owned(),
            provider: "local".to_owned(),
            model: "m:1".to_owned(),
            tier: Tier::Premium,
            template: String::new(),
            role: "fixer".to_owned(),
            workspace: "/w".to_owned(),
            labels: "a=b\nc=d".to_owned(),
        };
        let bytes = key.to_bytes();
        assert_eq!(ToolKey::read(&bytes), Some(key));
        assert!(bytes > ToolKey::from_quarter(-3).finish() && bytes < ToolKey::from_quarter(-2).finish());
    }
}
