//! Advice before money is spent: how likely is a tier to pass a task, what does it buy over the next lower one, where to start.
//!
//! Pure arithmetic over outcomes, texts and vectors that are passed in: no files, no clock, and chance only from seeds. Begin with
//! [`advisor`], which puts questions to a history; [`space`] answers them from means ([`posterior`]), a regression ([`linear`] over
//! [`features`]) and the nearest past tasks ([`neighbours`]); [`choose`] makes a decision of chances and costs; [`metrics`] says what
//! a ranking is worth, and [`trial`] and [`summary`] try everything on
//! tables of known outcomes, cut in two by [`chance`], with [`coverage`] of intervals; [`backtest`] walks recorded tasks along another
//! strategy; [`role`] and [`outlook`] advise on a template from the sums of its past; [`likeness`] compares the material of runs.

pub mod advisor;
pub mod backtest;
pub mod chance;
pub mod choose;
pub mod coverage;
pub mod features;
pub mod identified;
pub mod likeness;
pub mod linear;
pub mod metrics;
pub mod neighbours;
pub mod outlook;
pub mod past;
pub mod posterior;
pub mod role;
pub mod space;
pub mod summary;
pub mod table;
pub mod team;
pub mod trial;
