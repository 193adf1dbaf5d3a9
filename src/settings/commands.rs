//! The programs that agents may run, as `config.toml` names them: in a list, or each in a table that says what it does.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};

use crate::domain::tool::ToolEffect;

/// Programs that agents may run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandsConfig {
    /// Their names; each may change anything.
    Names(Vec<String>),
    /// What each does, by name.
    Tables(BTreeMap<String, CommandConfig>),
}

impl JsonSchema for CommandsConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CommandsConfig".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<CommandConfig>();
        json_schema!({
            "description": "Names of programs, or a table for each that says what it does.",
            "type": ["array", "object"],
            "items": {"type": "string"},
            "additionalProperties": table
        })
    }
}

impl CommandsConfig {
    /// Returns the names.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Names(names) => names.clone(),
            Self::Tables(tables) => tables.keys().cloned().collect(),
        }
    }

    /// Returns what each program does, where that is said.
    pub fn effects(&self) -> BTreeMap<String, ToolEffect> {
        match self {
            Self::Names(_) => BTreeMap::new(),
            Self::Tables(tables) => tables.iter().map(|(name, command)| (name.clone(), command.effect.into())).collect(),
        }
    }
}

/// A program that agents may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// What running it does, and so what running it again means after a crash.
    pub effect: CommandEffect,
}

/// What running a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandEffect {
    /// It only looks.
    Reads,
    /// It changes something, and again changes nothing more.
    Idempotent,
    /// It changes something; again is twice.
    Writes,
}

impl From<CommandEffect> for ToolEffect {
    fn from(effect: CommandEffect) -> Self {
        match effect {
            CommandEffect::Reads => Self::Reads,
            CommandEffect::Idempotent => Self::Idempotent,
            CommandEffect::Writes => Self::Writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn programs_stand_in_a_list_or_in_tables_that_say_what_they_do() {
        let list = file::parse("[tools]\ncommands = [\"cargo\", \"git\"]\n").expect("valid").tools.commands.expect("there");
        assert_eq!((list.names(), list.effects().len()), (vec!["cargo".to_owned(), "git".to_owned()], 0));
        let tables = "[tools.commands.cargo]\neffect = \"idempotent\"\n[tools.commands.make]\neffect = \"writes\"\n";
        let tables = file::parse(tables).expect("valid").tools.commands.expect("there");
        assert_eq!(tables.names(), ["cargo", "make"]);
        assert_eq!(tables.effects()["cargo"], ToolEffect::Idempotent);
        for wrong in [
            "[tools.commands.cargo]\n",
            "[tools.commands.cargo]\neffect = \"nothing\"\n",
            "[tools.commands.cargo]\neffect = \"reads\"\nmore = 1\n",
            "[tools]\ncommands = [1]\n",
            "[tools]\ncommands = \"cargo\"\n",
        ] {
            assert!(file::parse(wrong).is_err(), "{wrong}");
        }
    }
}
