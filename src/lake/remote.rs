//! A place that many stores share: a folder, or a bucket of S3 and compatible services, Google Cloud Storage or Azure.
//!
//! Credentials come from the environment only, by the names that the providers' own tools use; none is read from a store. An object is
//! created whole or not at all, and never changed: whoever comes second is told so. Requests that fail in passing are made again.

use std::future::poll_fn;
use std::path::{Path as FilePath, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error as StoreError, GetOptions, ObjectStore, PutMode, PutOptions, PutPayload, RetryConfig,
};
use tokio::runtime::Runtime;
use url::Url;

/// What is read from the environment for each kind of place.
const S3: [&str; 21] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ALLOW_HTTP",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_SKIP_SIGNATURE",
    "AWS_CONDITIONAL_PUT",
    "AWS_S3_EXPRESS",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_IMDSV1_FALLBACK",
    "AWS_METADATA_ENDPOINT",
];
const GOOGLE: [&str; 5] = [
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_BASE_URL",
];
const AZURE: [&str; 15] = [
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_STORAGE_USE_EMULATOR",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_MSI_ENDPOINT",
    "AZURE_ALLOW_HTTP",
    "AZURE_USE_AZURE_CLI",
];
/// Times that a request is made again before it has failed.
const RETRIES: usize = 10;
/// The slowest line over which an object is sent, in bytes a second: of what is sent it is not known how far it has come.
const SLOWEST: u64 = 32 * 1024;

/// How long a place may be silent.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until it takes a connection.
    connect: Duration,
    /// Until more of an answer comes; and how long a request that fails in passing is made again.
    silence: Duration,
}

const PATIENCE: Patience = Patience { connect: Duration::from_secs(10), silence: Duration::from_secs(60) };

impl Patience {
    /// Returns how requests are made whose answer is long: each part of it may take a while, and all of it as long as it takes. What is sent
    /// with a request counts as silence there.
    fn reading(self) -> ClientOptions {
        self.writing().with_read_timeout(self.silence)
    }

    /// Returns how requests are made that send something long: [`Self::of`] says how long that may take.
    fn writing(self) -> ClientOptions {
        ClientOptions::new().with_connect_timeout(self.connect).with_timeout_disabled()
    }

    /// Returns how long it may take to send so many bytes.
    fn of(self, bytes: usize) -> Duration {
        self.silence + Duration::from_secs(bytes as u64 / SLOWEST)
    }

    fn retry(self) -> RetryConfig {
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 };
        RetryConfig { backoff, max_retries: RETRIES, retry_timeout: self.silence }
    }
}

/// Why a shared place cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The address is none that is known.
    #[error("`{address}` is no place to push to or pull from: {why}")]
    Address {
        /// As it was given, without what may be a secret.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The place does not let this user in.
    #[error("{place}: access is denied: {why}")]
    Denied {
        /// The place.
        place: String,
        /// In its words.
        why: String,
    },
    /// There is no such bucket or container.
    #[error("{place}: there is no such bucket or container")]
    Missing {
        /// The place.
        place: String,
    },
    /// Nothing in the environment says who asks.
    #[error("{place}: no credentials for it are in the environment")]
    NoCredentials {
        /// The place.
        place: String,
    },
    /// Nothing came of a request for too long.
    #[error("{place}: {host} did not answer in time")]
    Silent {
        /// The place, or the object there.
        place: String,
        /// The machine that was asked.
        host: String,
    },
    /// A request failed, again and again where that may help.
    #[error("{place}: {why}")]
    Failed {
        /// The place, or the object there.
        place: String,
        /// In its words.
        why: String,
    },
}

/// How an object came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made.
    New,
    /// There was one with this name already: it was left as it is.
    There,
}

/// A shared place.
pub struct Remote {
    /// For what is short to ask and long to answer.
    reading: Box<dyn ObjectStore>,
    /// For what is long to ask.
    writing: Box<dyn ObjectStore>,
    prefix: Path,
    runtime: Runtime,
    address: String,
    /// The address of the service, where the environment names one.
    endpoint: Option<String>,
    patience: Patience,
}

impl Remote {
    /// Opens the place that `address` names: `s3://bucket/path`, `gs://…`, `az://…`, `file:///folder`, or a folder's path; `variable` reads
    /// the environment. Nothing is asked of it yet. A folder that is not there is made when `make`.
    ///
    /// # Errors
    /// [`RemoteError::Address`].
    pub fn open(address: &str, make: bool, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, RemoteError> {
        Self::open_for(address, make, variable, PATIENCE)
    }

    fn open_for(
        address: &str,
        make: bool,
        variable: &dyn Fn(&str) -> Option<String>,
        patience: Patience,
    ) -> Result<Self, RemoteError> {
        // Whoever asks for a certificate first chooses the implementation; that it was chosen already is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (shown, reading, prefix) = parse(address, make, variable, patience.reading(), patience.retry())?;
        let (_, writing, _) = parse(address, make, variable, patience.writing(), patience.retry())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|why| RemoteError::Failed { place: shown.clone(), why: why.to_string() })?;
        let mut names =
            S3.iter().chain(&GOOGLE).chain(&AZURE).filter(|name| name.contains("ENDPOINT") || name.contains("BASE_URL"));
        let endpoint = names.find_map(|name| variable(name).filter(|value| !value.is_empty()));
        Ok(Self { reading, writing, prefix, runtime, address: shown, endpoint, patience })
    }

    /// Returns the address, as it may be shown.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the names of all objects below the folder `under`, in order.
    ///
    /// # Errors
    /// As the place says.
    pub fn list(&self, under: &str) -> Result<Vec<String>, RemoteError> {
        let prefix = self.path(under);
        let listed = self.runtime.block_on(async {
            let mut stream = self.reading.list(Some(&prefix));
            let mut found = Vec::new();
            while let Some(object) = next(stream.as_mut()).await {
                found.push(object?.location);
            }
            Ok::<_, StoreError>(found)
        });
        let all = match listed {
            Err(StoreError::NotFound { .. }) => Vec::new(),
            listed => listed.map_err(|why| self.failed(under, &why))?,
        };
        let mut names: Vec<String> = all
            .iter()
            .filter_map(|path| path.prefix_match(&self.prefix).map(|parts| join(parts.map(|part| part.as_ref().to_owned()))))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Returns an object's bytes; `None` when there is no such object.
    ///
    /// # Errors
    /// As the place says.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        let path = self.path(name);
        let got = self.runtime.block_on(async { self.reading.get_opts(&path, GetOptions::default()).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(why) => Err(self.failed(name, &why)),
        }
    }

    /// Makes an object, unless there is one with this name.
    ///
    /// # Errors
    /// As the place says.
    pub fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Created, RemoteError> {
        let path = self.path(name);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let patience = self.patience.of(bytes.len());
        let put = self.writing.put_opts(&path, PutPayload::from(bytes), options);
        match self.runtime.block_on(async { tokio::time::timeout(patience, put).await }) {
            Ok(Ok(_)) => Ok(Created::New),
            Ok(Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. })) => Ok(Created::There),
            Ok(Err(why)) => Err(self.failed(name, &why)),
            Err(_) => Err(self.silent(self.place(name), "")),
        }
    }

    fn path(&self, name: &str) -> Path {
        Path::from_iter(self.prefix.parts().map(|part| part.as_ref().to_owned()).chain(name.split('/').map(str::to_owned)))
    }

    fn place(&self, name: &str) -> String {
        if name.is_empty() { self.address.clone() } else { format!("{}/{name}", self.address) }
    }

    /// Says that nothing came from the machine that `words` or the environment name.
    fn silent(&self, place: String, words: &str) -> RemoteError {
        let asked = words.split_whitespace().chain(self.endpoint.as_deref()).find_map(host_of);
        RemoteError::Silent { place, host: asked.unwrap_or_else(|| "its server".to_owned()) }
    }

    fn failed(&self, name: &str, why: &StoreError) -> RemoteError {
        let place = self.place(name);
        let words = words(why);
        // These services say it in XML, or as the address where a machine of theirs would have credentials.
        let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if says(&["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]) {
            return RemoteError::Missing { place: self.address.clone() };
        }
        if says(&["169.254.169.254", "metadata.google.internal", "169.254.170.2"]) {
            return RemoteError::NoCredentials { place: self.address.clone() };
        }
        if is_silence(why) {
            return self.silent(place, &words);
        }
        match why {
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => RemoteError::Denied { place, why: words },
            _ => RemoteError::Failed { place, why: words },
        }
    }
}

async fn next<T>(mut stream: Pin<&mut (dyn Stream<Item = T> + Send)>) -> Option<T> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("/")
}

/// Returns the causes of an error, the last of which says most; on one line.
fn words(why: &StoreError) -> String {
    let mut words = why.to_string();
    let mut cause = std::error::Error::source(why);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = inner.source();
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Tells whether a request failed because nothing came of it for too long.
fn is_silence(why: &StoreError) -> bool {
    let mut causes = std::iter::successors(Some(why as &(dyn std::error::Error + 'static)), |cause| cause.source());
    causes.any(|cause| cause.downcast_ref::<HttpError>().is_some_and(|error| error.kind() == HttpErrorKind::Timeout))
}

/// Returns the machine that a URL names, with its port.
fn host_of(word: &str) -> Option<String> {
    let url = Url::parse(word.trim_matches(['(', ')', ','])).ok().filter(|url| url.scheme().starts_with("http"))?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

type Opened = (String, Box<dyn ObjectStore>, Path);

fn parse(
    address: &str,
    make: bool,
    variable: &dyn Fn(&str) -> Option<String>,
    client: ClientOptions,
    retry: RetryConfig,
) -> Result<Opened, RemoteError> {
    let wrong = |shown: &str, why: &str| RemoteError::Address { address: shown.to_owned(), why: why.to_owned() };
    if !address.contains("://") {
        return folder(FilePath::new(address), make);
    }
    let url = Url::parse(address).map_err(|why| wrong("the address", &why.to_string()))?;
    let mut shown = url.clone();
    let is_azure = matches!(url.scheme(), "az" | "adl" | "azure" | "abfs" | "abfss");
    // A container of Azure stands where others have a user.
    if url.password().is_some() || !(url.username().is_empty() || is_azure) || url.query().is_some() {
        let _ = (shown.set_username(""), shown.set_password(None));
        shown.set_query(None);
        return Err(wrong(shown.as_str(), "credentials do not belong into it; they are read from the environment"));
    }
    let shown = shown.as_str().trim_end_matches('/').to_owned();
    let prefix = Path::from_url_path(url.path()).map_err(|why| wrong(&shown, &why.to_string()))?;
    let built = |store: Result<Box<dyn ObjectStore>, StoreError>| {
        store.map(|store| (shown.clone(), store, prefix.clone())).map_err(|why| wrong(&shown, &words(&why)))
    };
    match url.scheme() {
        "file" => folder(&url.to_file_path().map_err(|()| wrong(&shown, "it names no folder of this machine"))?, make),
        "s3" | "s3a" => {
            let mut builder = AmazonS3Builder::new().with_url(address).with_retry(retry).with_client_options(client);
            let mut is_near = false;
            for (name, value) in S3.iter().filter_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?))) {
                is_near |= name.starts_with("AWS_ENDPOINT") && is_loopback(&value);
                if let Ok(key) = name.to_ascii_lowercase().replace("_url_s3", "_url").parse::<AmazonS3ConfigKey>() {
                    builder = builder.with_config(key, value);
                }
            }
            if is_near {
                builder = builder.with_allow_http(true);
            }
            built(builder.build().map(|store| Box::new(store) as Box<dyn ObjectStore>))
        }
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::new().with_url(address).with_retry(retry).with_client_options(client);
            for (name, value) in GOOGLE.iter().filter_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?)))
            {
                if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
                    builder = builder.with_config(key, value);
                }
            }
            built(builder.build().map(|store| Box::new(store) as Box<dyn ObjectStore>))
        }
        _ if is_azure => {
            let mut builder = MicrosoftAzureBuilder::new().with_url(address).with_retry(retry).with_client_options(client);
            for (name, value) in AZURE.iter().filter_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?))) {
                if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
                    builder = builder.with_config(key, value);
                }
            }
            built(builder.build().map(|store| Box::new(store) as Box<dyn ObjectStore>))
        }
        other => Err(wrong(&shown, &format!("`{other}` is not one of file, s3, gs, az, abfss"))),
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let host = Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Opens a folder, which is made when it is not there, for its owner only.
fn folder(path: &FilePath, make: bool) -> Result<Opened, RemoteError> {
    let shown = path.display().to_string();
    let wrong = |why: String| RemoteError::Address { address: shown.clone(), why };
    let made = || -> std::io::Result<PathBuf> {
        if make && !path.is_dir() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        path.canonicalize()
    };
    let real = made().map_err(|why| wrong(why.to_string()))?;
    let store = LocalFileSystem::new_with_prefix(real).map_err(|why| wrong(words(&why)))?.with_fsync(true);
    Ok((shown, Box::new(store), Path::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_made_once_and_never_changed() {
        let dir = tempfile::tempdir().unwrap();
        let address = dir.path().join("new/lake").display().to_string();
        let remote = Remote::open(&address, true, &|_| None).unwrap();
        assert_eq!(remote.list("logs").unwrap(), [""; 0]);
        assert_eq!(remote.create("logs/a/1", b"one".to_vec()).unwrap(), Created::New);
        assert_eq!(remote.create("logs/a/1", b"two".to_vec()).unwrap(), Created::There);
        assert_eq!(remote.create("logs/b/1", b"three".to_vec()).unwrap(), Created::New);
        assert_eq!(remote.list("logs").unwrap(), ["logs/a/1", "logs/b/1"]);
        assert_eq!(remote.get("logs/a/1").unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(remote.get("logs/c/1").unwrap(), None);
    }

    #[test]
    fn what_is_missing_is_said_and_not_how_the_service_said_it() {
        let dir = tempfile::tempdir().unwrap();
        let remote = Remote::open(&dir.path().display().to_string(), false, &|_| None).unwrap();
        let failed = |words: &str| {
            let source = Box::<dyn std::error::Error + Send + Sync>::from(words.to_owned());
            remote.failed("logs", &StoreError::Generic { store: "S3", source }).to_string()
        };
        let missing = failed("Client error: 404 <?xml?><Error><Code>NoSuchBucket</Code></Error>");
        assert!(missing.ends_with("there is no such bucket or container") && !missing.contains('<'), "{missing}");
        let keyless = failed("error sending request for url (http://169.254.169.254/latest/api/token)");
        assert!(keyless.ends_with("no credentials for it are in the environment") && !keyless.contains("169"), "{keyless}");
        assert!(failed("reset by peer").contains("reset by peer"));
    }

    #[test]
    fn a_server_that_never_answers_is_given_up_and_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        // It takes every connection and says nothing; those that wait to be taken are taken by the system.
        let endpoint = format!("http://{host}");
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("key".to_owned()),
            _ => None,
        };
        let patience = Patience { connect: Duration::from_millis(300), silence: Duration::from_millis(300) };
        let remote = Remote::open_for("s3://bucket/lake", true, &variable, patience).unwrap();
        let all = [
            remote.list("logs").map(drop).unwrap_err(),
            remote.get("logs/a").map(drop).unwrap_err(),
            remote.create("logs/a", b"one".to_vec()).map(drop).unwrap_err(),
        ];
        for error in all {
            assert!(matches!(&error, RemoteError::Silent { host: named, .. } if *named == host), "{error}");
            assert!(error.to_string().ends_with(&format!("{host} did not answer in time")), "{error}");
        }
    }

    #[test]
    fn silence_is_short_a_slow_line_is_given_its_time_and_no_answer_is_cut_for_its_length() {
        assert_eq!((PATIENCE.connect, PATIENCE.silence), (Duration::from_secs(10), Duration::from_secs(60)));
        assert_eq!((PATIENCE.of(0), PATIENCE.of(8 << 20)), (Duration::from_secs(60), Duration::from_secs(316)));
        let says = |client: ClientOptions, key: &str| client.get_config_value(&key.parse().unwrap());
        for client in [PATIENCE.reading(), PATIENCE.writing()] {
            assert_eq!((says(client.clone(), "timeout"), says(client, "connect_timeout").as_deref()), (None, Some("10s")));
        }
        assert_eq!(says(PATIENCE.reading(), "read_timeout").as_deref(), Some("1m"));
        assert_eq!(says(PATIENCE.writing(), "read_timeout"), None, "it would count while something is sent");
    }

    #[test]
    fn addresses_with_credentials_or_of_other_kinds_are_refused_and_shown_without_them() {
        for (address, wanted) in [
            ("s3://key:hush-hush@bucket/path", "credentials do not belong"),
            ("s3://bucket/path?token=hush-hush", "credentials do not belong"),
            ("https://example.com/lake", "not one of"),
            ("ftp://example.com/lake", "not one of"),
            ("/nowhere/at/all", "No such file"),
        ] {
            let Err(why) = Remote::open(address, false, &|_| None) else { panic!("{address} is refused") };
            let why = why.to_string();
            assert!(why.contains(wanted) && !why.contains("hush-hush"), "{why}");
        }
        assert!(is_loopback("http://127.0.0.1:5000") && is_loopback("http://[::1]:1") && !is_loopback("http://10.0.0.1"));
    }
}
