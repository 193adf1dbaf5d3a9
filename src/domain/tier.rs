//! Tiers and strategies: which class of model an agent may use, in which order.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A class of model, from the cheapest that may do to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The cheapest model that may do.
    Cheap,
    /// A solid model for most work.
    Capable,
    /// The strongest model there is.
    Premium,
}

impl Tier {
    /// All tiers, lowest first.
    pub const ALL: [Self; 3] = [Self::Cheap, Self::Capable, Self::Premium];

    /// Returns the name used in files and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cheap => "cheap",
            Self::Capable => "capable",
            Self::Premium => "premium",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which tiers an agent may use, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only the cheap tier.
    CheapOnly,
    /// Cheap, then capable, then premium.
    Progressive,
    /// Capable, then premium.
    CapableFirst,
    /// Only the premium tier.
    PremiumOnly,
    /// Starts where the agent's history says that it pays, then escalates.
    Adaptive,
}

impl Strategy {
    /// All strategies, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::CheapOnly, Self::Progressive, Self::CapableFirst, Self::PremiumOnly, Self::Adaptive];

    /// Returns the tiers that the strategy allows, in order of use.
    pub fn tiers(self) -> &'static [Tier] {
        match self {
            Self::CheapOnly => &[Tier::Cheap],
            Self::Progressive | Self::Adaptive => &[Tier::Cheap, Tier::Capable, Tier::Premium],
            Self::CapableFirst => &[Tier::Capable, Tier::Premium],
            Self::PremiumOnly => &[Tier::Premium],
        }
    }

    /// Returns the name used in files and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::CheapOnly => "cheap_only",
            Self::Progressive => "progressive",
            Self::CapableFirst => "capable_first",
            Self::PremiumOnly => "premium_only",
            Self::Adaptive => "adaptive",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
