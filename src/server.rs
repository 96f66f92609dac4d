//! The one place that knows every room: starts them in order and ends them in order.

use crate::audit::{self, Audit, Entry, Event, Source};
use crate::auth::derivation::Derivation;
use crate::auth::jwks::{self, KeySets, Requests};
use crate::auth::password_policy::{Denylist, PasswordPolicy, Verifiers};
use crate::auth::rate::Rates;
use crate::auth::scram::mock::Mock;
use crate::auth::throttle::Throttle;
use crate::auth::tls::{Demand, InForce, Terms, TlsSet};
use crate::backup;
use crate::catalog::definition::{Definitions, Orphans};
use crate::catalog::key_usage::KeyUsage;
use crate::catalog::revocation::{Reports, Revocations};
use crate::catalog::store::Embedded;
use crate::catalog::store::usage::UsageFile;
use crate::catalog::{Snapshot, port};
use crate::config::{self, Config, Cores, Environment};
use crate::control::jwks::{AllowedHosts, Fetcher, HttpsSource, Kept};
use crate::control::tls_files::{TlsFault, TlsFiles};
use crate::control::tls_watch::{Nudge, TlsWatch};
use crate::control::{self, Control, FirstStart, RowKeeper};
use crate::data_dir::DataDir;
use crate::diagnostic::Diagnostic;
use crate::engine::{self, Engine};
use crate::exposition;
use crate::session::figures::Figures;
use crate::session::in_use::InUse;
use crate::session::notification::Queue;
use crate::session::off_core::OffCore;
use crate::session::services::{Encryption, PlainBearer, PlainConnections, now_microseconds};
use crate::session::{CoreServices, Limits, Parts, Signal};
use crate::storage::{self, Storage};
use crate::superuser;
use crate::telemetry::Metrics;
use crate::wire::proxied::Proxies;
use crate::wire::{http, native, pgwire};
use rustls::pki_types::UnixTime;
use shards::{CoreContext, CoreId, Listener, ListenerId, Mesh, Publisher, Runtime, Shard, Stream};
use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const PGWIRE: ListenerId = ListenerId(0);
const NATIVE: ListenerId = ListenerId(1);
const HTTP: ListenerId = ListenerId(2);

/// Threads that derive keys.
const DERIVATION_THREADS: usize = 2;

/// Serves until the process is told to stop.
///
/// # Errors
///
/// Whatever keeps the server from starting.
pub fn run(config: &Config, environment: &Environment) -> Result<(), Box<dyn Error>> {
    // Before anything is made: what is wrong with the files is to be mended first.
    let tls_files = config.server.tls.as_ref().map(tls_files);
    let tls_stamps = tls_files.as_ref().map(TlsFiles::stamps);
    let encryption = encryption(config)?;
    let data_dir = DataDir::open(&config.server.data_dir)?;
    let (audit, audit_thread) = Audit::start(
        &data_dir.audit(),
        data_dir.audit_key()?,
        config.audit.level,
        audit::Options {
            files_max: config.audit.files_max,
            ..audit::Options::default()
        },
    )?;
    let (mut store, recovered) = Embedded::open(&data_dir.catalog())?;
    let (mut epoch, mut principals) = (recovered.epoch, recovered.principals);
    if principals.is_empty() {
        let iterations = config.auth.scram_iterations;
        let fresh =
            superuser::set_password(environment.superuser_password(), &data_dir, iterations)?;
        let first = FirstStart {
            superuser_name: config.auth.superuser_name.clone(),
            verifier: fresh.verifier,
            now: now_microseconds(),
        };
        (epoch, principals) = control::first_start(&mut store, first)?;
        tracing::info!(
            "first start: superuser {}, its password {}",
            config.auth.superuser_name,
            fresh.source
        );
    }
    control::configured_providers::put(
        &mut principals,
        &config.auth.jwks.providers,
        now_microseconds(),
    )?;
    let options = runtime_options(config)?;
    let cores = Runtime::<Signal>::cores_of(&options);
    let storage = Storage::open(storage_options(config, data_dir.rows(), cores))?;
    let engine = Engine::start(
        storage.clone(),
        engine::Options {
            pool_threads: cores,
            memory_bytes_max: 1 << 30,
            statement_memory_bytes_max: 256 << 20,
            spill_directory: data_dir.path().join("spill"),
        },
    )?;
    let snapshot = Arc::new(Snapshot {
        epoch,
        principals,
        definitions: without_temporary(&storage)?,
    });
    let publisher = Publisher::new(cores, (epoch.0, snapshot.clone()));
    let (handle, inbox) = port::channel();
    let (key_requests, key_inbox) = Requests::channel();
    let key_sets = KeySets::default();
    key_fetcher(config, data_dir.path(), key_sets.clone(), audit.clone())?.spawn(key_inbox)?;
    control::follow_all(&key_requests, &snapshot.principals);
    let usage_file = UsageFile::open(&data_dir.catalog())?;
    let key_usage = KeyUsage::new(usage_file.read());
    let (reports, revocations) = (Reports::default(), Revocations::default());
    let times = exposition::Times::default();
    let control = Control {
        store: Box::new(store),
        current: snapshot,
        publisher: Box::new(publisher.clone()),
        rows: Box::new(Rows(storage.clone())),
        held: control::Held::default(),
        usage: control::Usage::new(key_usage.clone(), Some(usage_file)),
        key_requests: key_requests.clone(),
        reports: reports.clone(),
        revocations: revocations.clone(),
        times: control::Times {
            adoption: times.adoption.observer(0),
            revocation: times.revocation.observer(0),
        },
        audit: audit.clone(),
    };
    let control = control.spawn(inbox)?;
    let shared = Shared {
        cores: u16::try_from(cores)?,
        publisher,
        control: handle,
        reports,
        revocations,
        key_usage,
        engine: Arc::new(engine),
        storage,
        derivation: Derivation::start(DERIVATION_THREADS)?,
        off_core: OffCore::start()?,
        mock: Arc::new(Mock::new(
            data_dir.mock_key()?,
            config.auth.scram_iterations,
        )),
        scram_iterations: config.auth.scram_iterations,
        password_policy: Arc::new(password_policy(config)?),
        throttle: Throttle::new(config.auth.throttle),
        in_use: InUse::default(),
        notifications: Queue::new(u16::try_from(cores)?),
        key_rates: Rates::default(),
        key_sets,
        key_requests,
        encryption,
        audit: audit.clone(),
        plain_bearer: match config.server.allow_plain_bearer {
            true => PlainBearer::Allowed,
            false => PlainBearer::Refused,
        },
        figures: Figures::new(cores),
        limits: Limits {
            message_bytes_max: config.server.message_bytes_max as usize,
            outbox_bytes_max: config.server.outbox_bytes_max as usize,
            prepared_statements_max: config.server.prepared_statements_max as usize,
            login_deadline: config.server.login_deadline,
            ..Limits::default()
        },
        http: http::Service {
            metrics: Metrics::new(),
            readiness: Arc::default(),
            origins: http::Origins::new(&config.server.http.cors_origins),
            proxies: http::TrustedProxies::new(&config.server.http.trusted_proxies),
        },
        proxies: Proxies::new(&config.server.proxy_protocol),
    };
    let readiness = shared.http.readiness.clone();
    // Before clients are: who sees a port answer may ask for a backup.
    let backups = backup::Service::start(backup::Source {
        data_dir: data_dir.path().to_owned(),
        storage: shared.storage.clone(),
        control: shared.control.clone(),
        key_usage: shared.key_usage.clone(),
        audit: audit.clone(),
        key_sets: config.auth.jwks.cache_dir.clone(),
    })?;
    let make = shared.clone();
    let runtime = Runtime::start(options, move |context| make.core(context))?;
    exposition::register(
        &shared.http.metrics,
        exposition::Rooms {
            cores: runtime.metrics(),
            storage: shared.storage.clone(),
            publisher: shared.publisher.clone(),
            control: shared.control.clone(),
            derivation: shared.derivation.clone(),
            off_core: shared.off_core.clone(),
            tls: shared.encryption.tls.clone(),
        },
    );
    shared.figures.register(&shared.http.metrics);
    times.register(&shared.http.metrics);
    exposition::audit::register(&shared.http.metrics, audit.clone());
    exposition::providers::register(
        &shared.http.metrics,
        shared.key_sets.clone(),
        now_microseconds,
    );
    let watch = match (&shared.encryption.tls, tls_files, tls_stamps) {
        (Some(in_force), Some(files), Some(stamps)) => {
            let watch = TlsWatch {
                files,
                stamps,
                terms: in_force.current().terms(),
                in_force: in_force.clone(),
                changed: tell_cores(runtime.mesh()),
                audit: audit.clone(),
            };
            Some(watch.spawn()?)
        }
        _ => None,
    };
    let version = env!("CARGO_PKG_VERSION");
    audit.record_own(Entry::new(Event::Start, Source::Server).with("version", version));
    readiness.enter(http::Phase::Serving);
    announce(&runtime, &shared.encryption);
    wait_for_end(watch.as_ref())?;
    readiness.enter(http::Phase::Draining);
    backups.stop();
    runtime.drain(config.server.drain_deadline);
    runtime.join();
    drop(shared);
    let _ = control.join();
    audit.record_own(Entry::new(Event::Stop, Source::Server));
    audit_thread.close();
    Ok(())
}

/// The definitions as they were last committed, but for temporary tables: whose they were are gone.
fn without_temporary(storage: &Storage) -> Result<Definitions, Diagnostic> {
    let definitions = engine::definitions::load(storage)?;
    let left = engine::definitions::temporary::left_behind(&definitions);
    if left.is_empty() {
        return Ok(definitions);
    }
    engine::definitions::forget(storage, &left)?;
    engine::definitions::load(storage)
}

/// `[auth.jwks]`: whoever fetches the keys of identity providers. Its thread ends with the last way to it.
///
/// # Errors
/// A host that is none, and authorities that cannot be read.
fn key_fetcher(
    config: &Config,
    data_dir: &Path,
    sets: KeySets,
    audit: Audit,
) -> Result<Fetcher, Box<dyn Error>> {
    let jwks = &config.auth.jwks;
    let microseconds = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    let allowed = AllowedHosts::parse(&jwks.allow_http_hosts)?;
    Ok(Fetcher {
        terms: jwks::Terms {
            refresh: microseconds(jwks.refresh),
            stale_after: microseconds(jwks.max_stale),
        },
        kept: Kept::new(data_dir.join(&jwks.cache_dir)),
        source: Arc::new(HttpsSource::new(allowed, &jwks.ca)?),
        sets,
        clock: Arc::new(now_microseconds),
        audit,
    })
}

/// `[auth.password]`
///
/// # Errors
/// A denylist that cannot be read.
fn password_policy(config: &Config) -> Result<PasswordPolicy, Box<dyn Error>> {
    let wanted = &config.auth.password;
    let denylist = match &wanted.denylist {
        None => Denylist::default(),
        Some(path) => Denylist::read(path)
            .map_err(|error| format!("[auth.password] denylist {}: {error}", path.display()))?,
    };
    Ok(PasswordPolicy {
        min_length: usize::from(wanted.min_length),
        reuse: usize::from(wanted.reuse),
        verifiers: match wanted.allow_verifiers {
            true => Verifiers::Taken,
            false => Verifiers::Refused,
        },
        denylist,
    })
}

/// Word to every core that client certificates may be judged by something else now.
fn tell_cores(mesh: Mesh<Signal>) -> Box<dyn Fn() + Send> {
    Box::new(move || {
        for core in mesh.broadcast(&Signal::TrustChanged) {
            tracing::warn!(
                core = core.0,
                "a core could not be told of the new TLS files"
            );
        }
    })
}

/// `[storage]`, and a reader slot for every session and for sixteen scans of each pool thread.
fn storage_options(config: &Config, path: PathBuf, cores: usize) -> storage::Options {
    let pool_readers = u32::try_from(16 * cores).unwrap_or(u32::MAX);
    let options = storage::Options::new(path, cores);
    storage::Options {
        // A size past the address space is LMDB's to refuse.
        map_size_bytes: usize::try_from(config.storage.map_size).unwrap_or(usize::MAX),
        readers_max: config
            .server
            .max_connections
            .saturating_add(pool_readers)
            .saturating_add(64),
        snapshot_age_max: config.storage.snapshot_age_max,
        transaction_bytes_max: usize::try_from(config.storage.transaction_bytes_max)
            .unwrap_or(usize::MAX),
        ..options
    }
}

/// Which ports it serves, and what an operator should know about them.
fn announce(runtime: &Runtime<Signal>, encryption: &Encryption) {
    for warning in runtime.warnings() {
        tracing::warn!("{warning}");
    }
    let [pgwire, native, http] = [PGWIRE, NATIVE, HTTP].map(|port| runtime.addresses(port));
    for address in [pgwire, native, http].into_iter().flatten() {
        if encryption.tls.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "listening beyond loopback without encryption");
        }
    }
    let tls = match (&encryption.tls, encryption.plain) {
        (None, _) => "off",
        (Some(_), PlainConnections::Taken) => "offered",
        (Some(_), PlainConnections::Refused) => "required",
    };
    tracing::info!(?pgwire, ?native, ?http, tls, "serving");
}

fn tls_files(tls: &config::Tls) -> TlsFiles {
    TlsFiles {
        certificate: tls.cert.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone(),
        revocation_lists: tls.crl.clone(),
    }
}

/// `[server.tls]`
///
/// # Errors
/// A file that cannot be read, or is of no use.
fn encryption(config: &Config) -> Result<Encryption, TlsFault> {
    let certificate_map = Arc::new(config.auth.certificate_map.clone());
    let Some(tls) = &config.server.tls else {
        return Ok(Encryption {
            tls: None,
            plain: PlainConnections::Taken,
            certificate_map,
        });
    };
    let files = tls_files(tls);
    let terms = Terms {
        version_min: tls.version_min,
        demand: tls.demand,
        strictness: tls.strictness,
    };
    let set = TlsSet::new(&files.read()?, terms, None, UnixTime::now())?;
    Ok(Encryption {
        tls: Some(InForce::new(set, now_microseconds())),
        // Whoever must have a certificate must come by TLS.
        plain: match tls.require_tls || tls.demand == Demand::Required {
            true => PlainConnections::Refused,
            false => PlainConnections::Taken,
        },
        certificate_map,
    })
}

fn runtime_options(config: &Config) -> Result<shards::Options, Box<dyn Error>> {
    let addresses = |port: u16| -> std::io::Result<Vec<SocketAddr>> {
        Ok((config.server.host.as_str(), port)
            .to_socket_addrs()?
            .collect())
    };
    Ok(shards::Options {
        cores: match config.server.cores {
            Cores::All => None,
            Cores::Count(count) => Some(usize::from(count)),
        },
        listeners: vec![
            Listener {
                name: "pgwire",
                addresses: addresses(config.server.ports.pgwire)?,
            },
            Listener {
                name: "native",
                addresses: addresses(config.server.ports.native)?,
            },
            Listener {
                name: "http",
                addresses: addresses(config.server.ports.http)?,
            },
        ],
        connections_max: config.server.max_connections as usize,
        ..shards::Options::default()
    })
}

/// Until SIGTERM or ctrl-c; SIGHUP has the files of TLS read again.
fn wait_for_end(watch: Option<&Nudge>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    for signal in signals.forever() {
        match (signal, watch) {
            (SIGHUP, Some(watch)) => watch.look_now(),
            (SIGHUP, None) => tracing::info!("SIGHUP: there are no files of TLS to read again"),
            _ => break,
        }
    }
    Ok(())
}

#[derive(Clone)]
struct Shared {
    cores: u16,
    reports: Reports,
    revocations: Revocations,
    publisher: Arc<Publisher<Snapshot>>,
    control: port::Handle,
    key_usage: KeyUsage,
    engine: Arc<Engine>,
    storage: Storage,
    derivation: Derivation,
    off_core: OffCore,
    mock: Arc<Mock>,
    scram_iterations: u32,
    password_policy: Arc<PasswordPolicy>,
    throttle: Throttle,
    in_use: InUse,
    notifications: Queue,
    key_rates: Rates,
    key_sets: KeySets,
    key_requests: Requests,
    plain_bearer: PlainBearer,
    encryption: Encryption,
    figures: Figures,
    audit: Audit,
    limits: Limits,
    http: http::Service,
    proxies: Proxies,
}

impl Shared {
    fn core(&self, context: CoreContext<Signal>) -> Core {
        let mesh: Mesh<Signal> = context.mesh;
        let send = move |core: CoreId, signal: Signal| {
            if mesh.send(core, signal).is_err() {
                tracing::warn!(core = core.0, "a signal found no room");
            }
        };
        let services = CoreServices::start(Parts {
            core: context.core,
            cores: self.cores,
            reports: self.reports.clone(),
            revocations: self.revocations.clone(),
            catalog: self.publisher.replica(),
            control: self.control.clone(),
            key_usage: self.key_usage.clone(),
            engine: self.engine.clone(),
            storage: self.storage.clone(),
            derivation: self.derivation.clone(),
            off_core: self.off_core.clone(),
            mock: self.mock.clone(),
            scram_iterations: self.scram_iterations,
            password_policy: self.password_policy.clone(),
            throttle: self.throttle.clone(),
            in_use: self.in_use.clone(),
            notifications: self.notifications.clone(),
            key_rates: self.key_rates.clone(),
            key_sets: self.key_sets.clone(),
            key_requests: self.key_requests.clone(),
            plain_bearer: self.plain_bearer,
            encryption: self.encryption.clone(),
            figures: Rc::new(self.figures.of_core(context.core.index())),
            audit: self.audit.clone(),
            limits: self.limits,
            send: Box::new(send),
        });
        Core {
            services,
            http: self.http.clone(),
            proxies: self.proxies.clone(),
        }
    }
}

struct Core {
    services: Rc<CoreServices>,
    http: http::Service,
    proxies: Proxies,
}

impl Core {
    fn serve(self: Rc<Self>, listener: ListenerId, stream: Stream) {
        match listener {
            PGWIRE => {
                shards::spawn(pgwire::serve(stream, self.services.clone()));
            }
            NATIVE => {
                shards::spawn(native::serve(stream, self.services.clone()));
            }
            _ => {
                shards::spawn(async move { http::serve(stream, &self.http, &self.services).await });
            }
        }
    }
}

impl Shard for Core {
    type Message = Signal;

    fn accepted(self: &Rc<Self>, listener: ListenerId, stream: Stream) {
        let core = self.clone();
        if !self.proxies.send_headers(stream.hop().ip()) {
            return core.serve(listener, stream);
        }
        shards::spawn(async move {
            if let Some(stream) = core.proxies.unwrap(stream).await {
                core.serve(listener, stream);
            }
        });
    }

    fn message(self: &Rc<Self>, message: Signal) {
        self.services.signal(message);
    }

    fn drain(self: &Rc<Self>) {
        self.services.drain();
    }
}

/// The rows' half of what control drops.
struct Rows(Storage);

impl RowKeeper for Rows {
    fn forget(&self, orphans: &Orphans) -> Result<(), Diagnostic> {
        engine::definitions::forget(&self.0, orphans)
    }
}
