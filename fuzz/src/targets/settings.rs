//! The `options` of a start-up packet, and every setting's value as SET and start-up give it.

use super::texts;
use nodedb::session::settings::{Scope, SessionSettings, defaults};
use nodedb::wire::pgwire::startup::options;
use std::sync::Arc;

/// Options, each setting's kind among them.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "-c statement_timeout=5s -c lock_timeout=1.5min --idle-session-timeout=0",
        "-cDateStyle=ISO\\,\\ MDY -c TimeZone=America/New_York -c search_path=a\\ ,\"B\"",
        "-c extra_float_digits=-15 -c bytea_output=escape -c client_encoding=UTF8",
        "-c default_transaction_isolation=repeatable\\ read -c my.setting=x -c geqo=off",
        "-c TimeZone=-3.5 -c TimeZone=<+03>-03 -c work_mem=4MB -c application_name=\u{e9}\u{7f}",
    ])
}

/// What SHOW tells, SET takes, and it changes nothing.
pub fn run(data: &[u8]) {
    let Ok(given) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(options) = options(given) else {
        return;
    };
    let mut settings = SessionSettings::new(Arc::new(defaults()));
    for (name, value) in options {
        if settings.set(&name, Some(&value), Scope::Session).is_err() {
            continue;
        }
        let (_, shown) = settings.show(&name).expect("what was set is shown");
        let again = settings.set(&name, Some(&shown), Scope::Session);
        assert!(again.is_ok(), "{name} = {shown}: {again:?}");
        let (_, shown_again) = settings.show(&name).expect("what was set is shown");
        assert_eq!(shown_again, shown, "{name}");
    }
}
