//! Where a provider's keys are looked for.

use super::*;
use crate::control::jwks::fetch;

fn located(answers: &Answers, jwks_url: Option<&str>) -> Result<usize, String> {
    let provider = Followed {
        jwks_url: jwks_url.map(str::to_owned),
        ..provider(AUTH0, ISSUER)
    };
    fetch(answers, &provider).map(|found| found.fetched.keys.len())
}

fn discovery(issuer: &str) -> String {
    format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://keys.example/k"}}"#)
}

#[test]
fn an_address_that_is_told_is_the_only_one_that_is_asked() {
    let answers = Answers::default();
    answers.put("https://id.example/told", &document("one"));
    assert_eq!(located(&answers, Some("https://id.example/told")), Ok(1));
    assert_eq!(answers.asked(), 1);
    let missing = located(&answers, Some("https://id.example/other")).unwrap_err();
    assert!(
        missing.contains("there is nothing there (status 404)"),
        "{missing}"
    );
    assert_eq!(answers.asked(), 2);
}

#[test]
fn otherwise_the_issuers_discovery_document_says_where() {
    let answers = Answers::default();
    answers.put(DISCOVERY, &discovery(ISSUER));
    answers.put("https://keys.example/k", &document("one"));
    answers.put(KEYS, "not asked");
    assert_eq!(located(&answers, None), Ok(1));
}

#[test]
fn without_such_a_document_the_usual_place_is_asked() {
    let answers = Answers::default();
    answers.put(KEYS, &document("one"));
    assert_eq!(located(&answers, None), Ok(1));
    let asked = answers.state.lock().asked.clone();
    assert_eq!(asked, [DISCOVERY, KEYS]);
}

#[test]
fn a_document_of_another_issuer_or_one_that_fails_is_not_got_round() {
    let answers = Answers::default();
    answers.put(KEYS, &document("one"));
    answers.put("https://keys.example/k", &document("one"));
    answers.put(DISCOVERY, &discovery("https://id.example"));
    let other = located(&answers, None).unwrap_err();
    assert!(
        other.ends_with("the discovery document is of another issuer"),
        "{other}"
    );
    answers.break_down(DISCOVERY);
    let down = located(&answers, None).unwrap_err();
    assert_eq!(down, format!("{DISCOVERY}: it is down"));
}

#[test]
fn an_answer_that_is_no_key_set_is_a_failure_that_names_the_address() {
    let answers = Answers::default();
    answers.put(KEYS, "<html>");
    let page = located(&answers, None).unwrap_err();
    assert_eq!(
        page,
        format!("{KEYS}: the key set cannot be read: it is not JSON")
    );
    answers.put(KEYS, r#"{"keys":[]}"#);
    let empty = located(&answers, None).unwrap_err();
    assert!(empty.contains("none of the 0 keys"), "{empty}");
}
