//! Opening a store with its settings, prices, templates and secrets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use ulid::Ulid;

use super::keeping::beside::Beside;
use super::keeping::empty::EmptyLog;
use super::keeping::forget;
use super::keeping::keys;
use super::library::Library;
use super::memory::ledger::DayLedger;
use super::memory::recall::Memory;
use super::request::OpenRequest;
use super::runs::mcp::HeldServers;
use super::upkeep::{self, Attended, Heard, OpenState, Upkeep};
use crate::domain::capture::Levels;
use crate::domain::event::Event;
use crate::domain::ids::RunId;
use crate::domain::prices::{PriceError, PriceFile, PriceTable};
use crate::domain::redact::Redactor;
use crate::domain::run::Basis;
use crate::domain::template::{Question, QuestionKind};
use crate::executor::World;
use crate::providers;
use crate::settings::{self, Environment, Flags, How, Places, Preset, Request, Resolved, StorePlace, Variables};
use crate::store::codec::{self, Decoded};
use crate::store::files::OsFiles;
use crate::store::log::Log;
use crate::store::ordered::on_sled::SledShelf;
use crate::store::ordered::spare::SpareShelf;
use crate::store::payloads::Payloads;
use crate::store::session::{self, Create, Notice, Role, Session, StoreDir, StoreLock, spool};
use crate::store::{self, Unwritable, owned};
use crate::views;

/// What a command is about to do with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look: a store that is not there is an empty one, and nothing is created. One that cannot be written to is read as it lies.
    Read,
    /// Look first and append then: a store that is not there is an empty one, and nothing is created. One that cannot be written to is
    /// refused.
    Change,
    /// Append: a store that is not there is created where that is allowed.
    Write,
    /// Only settings, prices and templates: the log seems empty and stays closed, so nobody is waited for.
    Surroundings,
}

/// What to open.
pub struct Options<'a> {
    /// Where things are.
    pub places: Places,
    /// `--store`.
    pub store: Option<&'a Path>,
    /// `--config`.
    pub config: Option<&'a Path>,
    /// `--prices`.
    pub prices: Option<&'a Path>,
    /// What the command line says about settings.
    pub flags: &'a Flags,
    /// The preset to use when nobody chose one.
    pub fallback: Option<Preset>,
    /// Reads environment variables: addresses and keys of providers, answers to secret questions.
    pub variables: Variables,
    /// What the command is about to do.
    pub access: Access,
    /// How long to wait for an owner that does not answer.
    pub wait: Duration,
    /// Own the store and stay, as `serve` does.
    pub stay: bool,
    /// What is to be done to the files when this process comes to own them.
    pub upkeep: Upkeep,
    /// Time, ids and randomness.
    pub world: World,
    /// Told in words what the user should know.
    pub notice: Arc<dyn Fn(&Notice) + Send + Sync>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// A price file is wrong.
    #[error("{}: {source}", path.display())]
    Prices {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PriceError,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store itself.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A store with everything around it.
pub struct Workspace {
    /// Where the store is, and how it was found.
    pub(crate) store: StorePlace,
    /// Where other things are.
    pub(crate) places: Places,
    /// The settings that count, with their sources.
    pub(crate) resolved: Resolved,
    /// The prices that count.
    pub(crate) prices: PriceTable,
    /// Templates and base agents.
    pub(crate) library: Library,
    /// What is wrong with settings files that were left out, when that was allowed.
    pub(crate) faults: Vec<settings::Error>,
    /// Keeps secrets out of what is recorded.
    pub(crate) redactor: Arc<Redactor>,
    /// Reads environment variables, for whoever needs one later.
    pub(crate) variables: Variables,
    /// The keys of all providers, to be kept out of texts.
    secrets: Vec<SecretString>,
    /// How long whoever opened it waits for who is in the way.
    pub(super) patience: Duration,
    pub(super) log: Arc<dyn Log>,
    /// The same, for who asks about imported logs; `None` for a store that is not there.
    pub(super) beside: Option<Arc<Beside>>,
    pub(super) payloads: Arc<Payloads>,
    pub(super) world: Arc<World>,
    pub(super) opened: Arc<OpenState>,
    pub(super) memory: Memory,
    pub(super) notice: Arc<dyn Fn(&Notice) + Send + Sync>,
    /// MCP servers of runs that are about to go on.
    pub(super) servers: HeldServers,
    /// `None` for a store that is not there.
    place: Option<StoreDir>,
    session: Option<Arc<Session>>,
    /// `--config`, for who asks the settings once more.
    config: Option<PathBuf>,
}

impl Workspace {
    /// Opens the store in the folder `dir`, whose parent must exist, to write to it: with the user's own settings and `preset`
    /// over them. The short way; [`Workspace::open_with`] is the whole one.
    ///
    /// # Errors
    /// An [`Error`] that names the file or the process in the way.
    pub fn at(dir: &Path, preset: Option<Preset>) -> Result<Self, Error> {
        Self::open_with(dir, &OpenRequest { preset, ..OpenRequest::default() })
    }

    /// Opens the store in the folder `dir` as `request` says, with the user's own settings and environment.
    ///
    /// # Errors
    /// An [`Error`] that names the file or the process in the way.
    pub fn open_with(dir: &Path, request: &OpenRequest) -> Result<Self, Error> {
        let flags = Flags { preset: request.preset, ..Flags::default() };
        let variables = Variables::of_process();
        Self::open(Options {
            places: Places::of_process(&variables)?,
            store: Some(dir),
            config: request.config.as_deref(),
            prices: request.prices.as_deref(),
            flags: &flags,
            fallback: None,
            variables,
            access: request.access,
            wait: request.wait,
            stay: false,
            upkeep: Upkeep::default(),
            world: World::real(),
            notice: Arc::new(|notice| tracing::info!("{notice}")),
        })
    }

    /// Opens the store that is meant, or an empty one in its place when it is not there and is only read.
    ///
    /// # Errors
    /// An [`Error`] that names the file or the process in the way.
    pub(crate) fn open(options: Options<'_>) -> Result<Self, Error> {
        Self::open_as(options, settings::load)
    }

    /// Like [`Workspace::open`], but a settings file with faults counts as if it were not there, and [`Workspace::faults`] says what
    /// is wrong with it: for those who look for what is wrong.
    ///
    /// # Errors
    /// As [`Workspace::open`], but for faults within settings files.
    pub(crate) fn open_forgiving(options: Options<'_>) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let mut workspace = Self::open_as(options, |request| settings::load_forgiving(request, &mut faults))?;
        workspace.faults = faults;
        Ok(workspace)
    }

    fn open_as(
        options: Options<'_>,
        load: impl FnOnce(&Request<'_>) -> Result<Resolved, settings::Error>,
    ) -> Result<Self, Error> {
        let store = options.places.store(options.store, Path::is_dir);
        StoreDir::refuse_files(&store.path)?;
        let resolved = load(&Request {
            places: &options.places,
            store: &store,
            config: options.config,
            flags: options.flags,
            environment: &Environment::of(&options.variables),
            fallback: options.fallback,
        })?;
        let prices = prices(&options.places, options.prices)?.with_tariffs(providers::tariffs(&resolved.settings.providers));
        let secrets = secrets(&resolved, &options.variables);
        let redactor = Arc::new(Redactor::new(secrets.iter().map(ExposeSecret::expose_secret)));
        // Where nobody can say who is trusted, nobody is.
        let is_strange = !settings::is_trusted(&options.places, &store).unwrap_or(false);
        let library = Library::open(&store.path).of_stranger(is_strange);
        let keyring = keys::ring(&resolved.settings.encryption, Arc::clone(&options.notice));
        let payloads = Arc::new(Payloads::with_keys(Arc::new(OsFiles), &store.path, Arc::new(keyring)));
        let world = Arc::new(options.world);
        let mut workspace = Self {
            patience: options.wait,
            log: Arc::new(EmptyLog(store.path.clone())),
            store,
            places: options.places,
            resolved,
            prices,
            library,
            faults: Vec::new(),
            redactor,
            variables: options.variables,
            secrets,
            payloads,
            world,
            opened: Arc::default(),
            memory: Memory::default(),
            notice: Arc::clone(&options.notice),
            servers: HeldServers::default(),
            beside: None,
            place: None,
            session: None,
            config: options.config.map(Path::to_path_buf),
        };
        let is_there = workspace.store.path.is_dir();
        let looks = matches!(options.access, Access::Read | Access::Change);
        if options.access == Access::Surroundings || (looks && !is_there) {
            return Ok(workspace);
        }
        let create = match (options.access, workspace.store.how) {
            (Access::Read | Access::Change | Access::Surroundings, _) | (Access::Write, How::Found) => Create::Never,
            (Access::Write, How::Named) => Create::Folder,
            (Access::Write, How::Users) => Create::WithParents,
        };
        let place = StoreDir::open(&workspace.store.path, create)?;
        let may_only_read = options.access == Access::Read && options.upkeep == Upkeep::Usual && !options.stay;
        let (notice, heard) = (options.notice, Arc::clone(&workspace.opened));
        let on_notice = Arc::new(move |said: &Notice| {
            if let Some(work) = Heard::of(said) {
                *store::lock(&heard.heard) = Some(work);
            }
            notice(said);
        });
        let session = Session::open(
            place.clone(),
            opener(Arc::clone(&workspace.world), options.upkeep, Arc::clone(&workspace.opened), Arc::clone(&workspace.notice)),
            session::Options {
                wait: options.wait,
                stay: options.stay,
                may_own: true,
                reader: may_only_read
                    .then(|| reader(Arc::clone(&workspace.world), Arc::clone(&workspace.opened), Arc::clone(&workspace.notice))),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                on_notice,
            },
        )?;
        let session = Arc::new(session);
        let beside = Arc::new(Beside::new(Arc::clone(&session) as Arc<dyn Log>, workspace.store.path.clone()));
        workspace.log = Arc::clone(&beside) as Arc<dyn Log>;
        workspace.beside = Some(beside);
        workspace.session = Some(session);
        workspace.place = Some(place);
        Ok(workspace)
    }

    /// Returns the same open store with the settings that `flags` make, and `fallback` where nobody chose a preset: for one run of many that
    /// a process starts.
    ///
    /// # Errors
    /// When the settings are wrong.
    pub(crate) fn with_flags(&self, flags: &Flags, fallback: Option<Preset>) -> Result<Self, Error> {
        let resolved = settings::load(&Request {
            places: &self.places,
            store: &self.store,
            config: self.config.as_deref(),
            flags,
            environment: &Environment::of(&self.variables),
            fallback,
        })?;
        let prices = self.prices.clone().with_tariffs(providers::tariffs(&resolved.settings.providers));
        let secrets = secrets(&resolved, &self.variables);
        Ok(Self {
            store: self.store.clone(),
            places: self.places.clone(),
            prices,
            library: self.library.clone(),
            faults: Vec::new(),
            redactor: Arc::new(Redactor::new(secrets.iter().map(ExposeSecret::expose_secret))),
            variables: self.variables.clone(),
            secrets,
            resolved,
            patience: self.patience,
            log: Arc::clone(&self.log),
            beside: self.beside.clone(),
            payloads: Arc::clone(&self.payloads),
            world: Arc::clone(&self.world),
            opened: Arc::clone(&self.opened),
            memory: Memory::default(),
            servers: HeldServers::default(),
            notice: Arc::clone(&self.notice),
            place: self.place.clone(),
            session: self.session.clone(),
            config: self.config.clone(),
        })
    }

    /// Returns a redactor that knows these secrets besides the providers' keys.
    pub(crate) fn redactor_with(&self, more: &[SecretString]) -> Redactor {
        Redactor::new(self.secrets.iter().chain(more).map(ExposeSecret::expose_secret))
    }

    /// Returns the redactor of a run: it knows the run's own secrets, and what its capture levels ask for.
    pub(crate) fn redactor_of(&self, basis: &Basis, more: &[SecretString]) -> Arc<Redactor> {
        Arc::new(self.redactor_with(more).on_request(&self.resolved.settings.redaction, Levels::of(basis)))
    }

    /// Returns the answer to a secret question that stands in the variable that the question names.
    pub(crate) fn secret_of(&self, question: &Question) -> Option<String> {
        let variable = question.env.as_deref().filter(|_| question.kind == QuestionKind::Secret);
        variable.and_then(|name| self.variables.get(name))
    }

    /// Returns the log, for those who follow it.
    pub(crate) fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// Returns why nothing can be written to the store, when it is only read for that reason.
    pub(crate) fn read_only(&self) -> Option<Unwritable> {
        match self.session.as_ref()?.role() {
            Role::Reader(why) => Some(why),
            Role::Owner | Role::Client => None,
        }
    }

    /// Returns the token that the user gave programs which ask over HTTP, if there is one.
    pub(crate) fn mcp_token(&self) -> Option<String> {
        self.variables.get("MENO_MCP_TOKEN").filter(|token| !token.is_empty())
    }

    /// Returns the session, unless the store is not there.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    pub(super) fn place(&self) -> Result<&StoreDir, store::Error> {
        self.place.as_ref().ok_or_else(|| store::Error::NotFound(self.store.path.clone()))
    }

    /// Appends what an executor of this run had to leave in the spool.
    pub(super) fn take_in_spool(&self, run: RunId) -> Result<(), store::Error> {
        spool::take_in(self.place()?, Some(run), self.log.as_ref(), &spool::at_current_version)?;
        Ok(())
    }

    /// Returns an id for a new run that comes after every run so far, whatever the clock says. Imported runs do not count: one
    /// that is dated in the future must not push every later run there.
    pub(super) fn new_run_id(&self) -> Result<RunId, store::Error> {
        let last: Option<Ulid> = self.runs().newest_run()?.filter(|row| !row.imported).map(|row| row.run_id.0);
        Ok(RunId(self.world.ulid(last)))
    }

    /// Returns the user's id, hashed with the store's own salt, so that it says nothing outside this store.
    ///
    /// The hash is keyed BLAKE3 with a key derived from the salt; 16 hexadecimal digits of it are kept.
    pub(super) fn user_hash(&self) -> Result<String, store::Error> {
        let user = rustix::process::getuid().as_raw();
        let key = blake3::derive_key("meno 2026-11 user id", &self.salt()?);
        Ok(blake3::keyed_hash(&key, &user.to_le_bytes()).to_hex()[..16].to_owned())
    }

    /// Returns the store's own salt; zeros when its log does not have it.
    pub(super) fn salt(&self) -> Result<[u8; 16], store::Error> {
        let first = self.log.read(1, 1)?;
        let salt = match first.first().map(codec::decode).transpose()? {
            Some(Decoded::Known(recorded)) => match recorded.event {
                Event::StoreCreated(created) => created.private.map(|private| private.user_salt),
                _ => None,
            },
            _ => None,
        };
        Ok(salt.unwrap_or_default())
    }
}

/// Opens the files of a store that this process has come to own, after what `upkeep` asks for.
fn opener(
    world: Arc<World>,
    upkeep: Upkeep,
    opened: Arc<OpenState>,
    notice: Arc<dyn Fn(&Notice) + Send + Sync>,
) -> session::Opener {
    let open = move |dir: &Path, thorough: bool, tell: &session::Tell| {
        let (progress, repaired, notice) = (rebuilding(Arc::clone(tell)), repaired(Arc::clone(&notice)), Arc::clone(&notice));
        let shelf = Arc::new(SpareShelf::new(Arc::new(SledShelf::system()), move |why| notice(&Notice::InMemory(why))));
        owned::OwnedLog::open(dir, owned::Options { thorough, progress, notice: repaired, shelf, ..log_options(&world) })
    };
    // A store that is handed over and comes back is not made anew twice.
    let is_done = AtomicBool::new(false);
    Arc::new(move |dir, tell| {
        let told = || tell("removing what was forgotten", 0);
        let unforgotten = match forget::carry_out(dir, &opened, &told, &|| open(dir, true, tell)) {
            // It can be begun again, and the store can be read until then.
            Err(error) => forget::is_postponed(dir, &opened, error.unwritable().ok_or(error)?),
            Ok(unforgotten) => unforgotten,
        };
        if upkeep == Upkeep::Rebuild && !is_done.load(Ordering::Relaxed) {
            tell("rebuilding", 0);
            let aside = upkeep::set_indexes_aside(dir, &|| open(dir, true, tell))?;
            store::lock(&opened.aside).extend(aside);
        }
        let thorough = upkeep == Upkeep::Thorough && !is_done.load(Ordering::Relaxed);
        let (log, mut report) = open(dir, thorough, tell)?;
        report.notices.extend(unforgotten);
        is_done.store(true, Ordering::Relaxed);
        let log = Arc::new(log);
        upkeep::remember(&opened, &log, report);
        Ok(Arc::new(Attended { log, opened: Arc::clone(&opened) }) as Arc<dyn Log>)
    })
}

/// Tells what was put right or is lost.
fn repaired(notice: Arc<dyn Fn(&Notice) + Send + Sync>) -> Arc<dyn Fn(&str) + Send + Sync> {
    Arc::new(move |what| notice(&Notice::Repaired(what.to_owned())))
}

/// Opens the files of a store that cannot be written to, and changes nothing there.
fn reader(world: Arc<World>, opened: Arc<OpenState>, notice: Arc<dyn Fn(&Notice) + Send + Sync>) -> session::Reader {
    Arc::new(move |dir, why| {
        let (log, mut report) = owned::OwnedLog::open(
            dir,
            owned::Options {
                notice: repaired(Arc::clone(&notice)),
                ..log_options(&world).read_only(why, StoreLock::is_held(dir))
            },
        )?;
        report.notices.extend(forget::is_postponed(dir, &opened, why));
        let log = Arc::new(log);
        upkeep::remember(&opened, &log, report);
        Ok(log as Arc<dyn Log>)
    })
}

/// What every log of a store is opened with.
fn log_options(world: &Arc<World>) -> owned::Options {
    let (clock, random) = (Arc::clone(world), Arc::clone(world));
    owned::Options {
        clock: Box::new(move || clock.now()),
        random: Box::new(move |bytes| {
            bytes.chunks_mut(16).for_each(|chunk| chunk.copy_from_slice(&random.random()[..chunk.len()]))
        }),
        ledger: Some(Box::new(DayLedger::default())),
        projections: views::projections(),
        ..owned::Options::system()
    }
}

/// Tells how far the filling of an index is, where that takes long enough for anybody to notice.
fn rebuilding(tell: session::Tell) -> Box<dyn Fn(owned::Progress) + Send + Sync> {
    /// Fewer events than this are in the index before somebody could read what is told.
    const EVENTS_TOLD: u64 = 20_000;
    Box::new(move |progress| {
        if progress.total >= EVENTS_TOLD {
            let percent = progress.done.saturating_mul(100) / progress.total;
            tell("rebuilding", u8::try_from(percent).unwrap_or(100));
        }
    })
}

/// Reads the price table: the embedded one, the user's `prices.json` over it, `--prices FILE` over both.
fn prices(places: &Places, flag: Option<&Path>) -> Result<PriceTable, Error> {
    let mut tables =
        vec![providers::embedded_prices().map_err(|source| Error::Prices { path: PathBuf::from("(embedded)"), source })?];
    let users = places.config.join("prices.json");
    let files = [users.is_file().then_some(users), flag.map(Path::to_path_buf)];
    for path in files.into_iter().flatten() {
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        tables.push(PriceFile::parse(&text).map_err(|source| Error::Prices { path, source })?);
    }
    Ok(PriceTable::merge(tables))
}

/// Returns the values of all variables that the settings name as holding a key.
fn secrets(resolved: &Resolved, variables: &Variables) -> Vec<SecretString> {
    let named = resolved.settings.providers.values().filter_map(|provider| provider.api_key_env.clone());
    let usual = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OLLAMA_API_KEY"].map(str::to_owned);
    let of_servers = resolved.settings.mcp.values().flat_map(|server| server.env.iter().filter(|name| is_secret(name)).cloned());
    let of_addresses = resolved.settings.mcp.values().filter_map(|server| server.token_env.clone());
    named
        .chain(usual)
        .chain(of_servers)
        .chain(of_addresses)
        .filter_map(|name| variables.get(&name))
        .map(SecretString::from)
        .collect()
}

/// Tells by its name whether a variable that a server is given holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"].iter().any(|part| name.contains(part))
}
