//! Black-box tests by capability: one binary, a real server, real clients.

mod access;
mod activity;
mod advisory_locks;
mod architecture;
mod audit;
#[allow(dead_code, reason = "each helper is used by some capability")]
mod authority;
mod backup;
mod certificates;
mod channel_binding;
mod copy_binary;
mod crash;
mod credential_order;
mod credentials;
mod crowd;
mod cursors;
mod deferred;
mod definitions;
mod early_release;
mod everyday;
mod explain;
mod failing_disk;
mod full_disk;
mod held_commits;
mod hermitage;
mod http;
mod http_body;
#[allow(dead_code, reason = "each helper is used by some capability")]
mod http_client;
mod http_gzip;
mod http_origins;
mod http_parameters;
mod http_query;
mod http_remembered;
mod http_stream;
mod http_tenant;
#[allow(dead_code, reason = "each helper is used by some capability")]
mod issuer;
mod key_sets;
mod keys;
mod ladder;
mod large_transaction;
mod limits;
mod metrics;
mod native;
mod native_hostile;
mod native_wire;
mod notifications;
mod oidc;
mod passwords;
mod pg_dump;
mod pgbench;
mod pgwire;
mod plans;
mod positions;
mod postgresql;
mod provider_outages;
mod revocation;
mod row_locks;
mod row_policies;
mod scram;
mod scram_client;
#[allow(dead_code, reason = "each helper is used by some capability")]
mod server;
mod sessions;
#[allow(dead_code, reason = "each helper is used by some capability")]
mod signer;
mod sql_files;
mod start;
mod throttle;
mod tls;
mod tls_client_certificates;
mod tls_protocols;
mod tls_reload;
mod tokio_driver;
mod wire;
