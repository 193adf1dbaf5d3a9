//! From the options of a command to an opened store.

use std::sync::Arc;

use super::context::Context;
use super::error::{CliError, Result};
use super::output::{sanitize, words};
use crate::executor::World;
use crate::settings::{Choice, Flags, Places, Preset, Variables};
use crate::store::session::Notice;
use crate::workspace::{Access, Options, Upkeep, Workspace};

/// How a command opens the store.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// What the command line says about settings.
    pub flags: Flags,
    /// The preset to use when nobody chose one.
    pub fallback: Option<Preset>,
    /// Own the store and stay.
    pub stay: bool,
    /// What is to be done to the files.
    pub upkeep: Upkeep,
    /// `--deterministic`.
    pub deterministic: bool,
    /// A settings file with faults counts as if it were not there; the faults are in [`Workspace::faults`].
    pub forgiving: bool,
    /// What the settings have to tell is not told: it was before, or will be.
    pub hush: bool,
    /// The command itself says what is lost and what can be restored.
    pub says_losses: bool,
}

/// Opens the store that the options mean, to read it or to write to it, with the settings' own words about models left alone.
///
/// # Errors
/// When a file or another process is in the way; the report names it.
pub fn store(context: &mut Context, access: Access) -> Result<Workspace> {
    store_with(context, access, Opening::default())
}

/// Like [`store`], with what `opening` says.
///
/// # Errors
/// As [`store`].
pub fn store_with(context: &mut Context, access: Access, opening: Opening) -> Result<Workspace> {
    let places = Places::of_process(&context.variables)?;
    let (quiet, json) = (context.out.quiet(), context.out.json());
    let says_losses = opening.says_losses;
    let notice = move |notice: &Notice| {
        // What was not as it must be is said to programs as well.
        let is_said = !quiet && (!json || matches!(notice, Notice::Repaired(_)));
        if is_said && is_for_people(notice) {
            let words = notice.to_string();
            eprintln!("{}", sanitize::line(&words));
            if words.ends_with("lost") && !says_losses {
                eprintln!("hint: `meno doctor` says what is lost and what can be restored");
            }
        }
    };
    let global = context.global.clone();
    let options = Options {
        places,
        store: global.store.as_deref(),
        config: global.config.as_deref(),
        prices: global.prices.as_deref(),
        flags: &opening.flags,
        fallback: opening.fallback,
        variables: context.variables.clone(),
        access,
        wait: global.wait,
        stay: opening.stay,
        upkeep: opening.upkeep,
        world: world(opening.deterministic, &context.variables)?,
        notice: Arc::new(notice),
    };
    let workspace = if opening.forgiving { Workspace::open_forgiving(options) } else { Workspace::open(options) }?;
    retain(context, &workspace);
    if !opening.hush {
        for line in &workspace.resolved.notices {
            context.out.say(line);
        }
    }
    Ok(workspace)
}

/// Forgets what the settings say is too old, and says so; deletes what killed processes could not.
pub fn retain(context: &mut Context, workspace: &Workspace) {
    if let Err(error) = workspace.keeping().sweep_withheld() {
        tracing::warn!("texts of ended runs could not be deleted: {error}");
    }
    match workspace.keeping().enforce_retention(context.global.wait) {
        Ok(0) => {}
        Ok(runs) => {
            let runs = words::plural(runs, "run");
            context.out.say(format!("{runs} ended more than retention.days ago: their texts were forgotten"));
        }
        Err(error) => context.out.warn(format!("old runs could not be forgotten: {}", sanitize::line(&error.to_string()))),
    }
}

/// Changes of ownership are nobody's concern; waiting and mending are.
fn is_for_people(notice: &Notice) -> bool {
    !matches!(notice, Notice::Owning | Notice::HandedOver | Notice::Opening(_))
}

/// The real world, or a fixed one for tests: MENO_CLOCK (RFC 3339) and MENO_SEED (a number).
fn world(deterministic: bool, variables: &Variables) -> Result<World> {
    let (clock, seed) = (variables.get("MENO_CLOCK"), variables.get("MENO_SEED"));
    let is_honoured = deterministic || cfg!(debug_assertions);
    if !is_honoured || (clock.is_none() && seed.is_none()) {
        return Ok(World::real());
    }
    let clock = clock.unwrap_or_else(|| "2026-01-01T00:00:00Z".to_owned());
    let start = super::output::time::nanoseconds(&clock).ok_or_else(|| {
        CliError::invalid(format!("MENO_CLOCK is not a time: `{clock}`")).hint("write it like 2026-01-01T00:00:00Z")
    })?;
    let seed = seed.unwrap_or_else(|| "0".to_owned());
    let seed = seed
        .parse()
        .map_err(|_| CliError::invalid(format!("MENO_SEED is not a number: `{seed}`")).hint("use a whole number like 7"))?;
    Ok(World::fixed(start, seed))
}

/// Refuses settings whose models cannot run.
///
/// # Errors
/// What is wrong with the models chosen.
pub fn usable(workspace: &Workspace) -> Result<()> {
    match &workspace.resolved.choice {
        Choice::Unusable(error) => Err(CliError::from(error)),
        Choice::Made | Choice::Nothing { .. } => Ok(()),
    }
}
