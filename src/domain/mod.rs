//! The pure rules: templates, forms, agents, criteria, tiers, money, events, and the run as `decide · evolve · pending`.
//!
//! Nothing here knows a file, a socket, a clock or a random number: what comes from the world comes in as an argument.
//! Start with [`event`] (what can happen) and [`run`] (what follows from it).

pub mod answers;
pub mod call;
pub mod capture;
pub mod condition;
pub mod criterion;
pub mod event;
pub mod form;
pub mod ids;
pub mod json_fault;
pub mod judge;
pub mod lenient_json;
pub mod money;
pub(crate) mod named;
pub mod nearest;
pub mod omission;
pub mod percent;
pub mod personal;
pub mod placeholder;
pub mod prices;
pub mod redact;
pub mod run;
pub mod settings;
pub mod team;
pub mod template;
pub mod text;
pub mod tier;
pub mod tokens;
pub mod tool;
pub mod when;
