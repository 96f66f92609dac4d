//! Which client certificates are believed: a table of cases made here and now, each with its verdict
//! written out by hand, and openssl asked for its own where both can judge.

use nodedb::auth::certificate::{CertificateRefusal as Refusal, Strictness, Trust, verify};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use std::fs;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

use crate::authority::named;

/// 2026-06-15, noon.
const NOW: u64 = 1_781_524_800;

/// An authority at any depth.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

impl Authority {
    fn root(name: &str) -> Authority {
        let (parameters, key) = (authority_parameters(name), key());
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(parameters, key);
        Authority {
            certificate,
            issuer,
        }
    }

    /// One that this one vouches for.
    fn below(&self, parameters: CertificateParams) -> Authority {
        let key = key();
        let certificate = parameters.signed_by(&key, &self.issuer);
        Authority {
            certificate: certificate.expect("a certificate"),
            issuer: Issuer::new(parameters, key),
        }
    }

    fn issue(&self, parameters: &CertificateParams) -> Certificate {
        let certificate = parameters.signed_by(&key(), &self.issuer);
        certificate.expect("a certificate")
    }

    /// Its list, naming these serial numbers, good until the year given.
    fn list(&self, revoked: &[u64], until: i32) -> CertificateRevocationList {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.issuer).expect("a list")
    }
}

/// A client's.
fn client(serial: u64) -> CertificateParams {
    let mut parameters = named("alice");
    parameters.serial_number = Some(SerialNumber::from(serial));
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

/// Whether openssl's verdict is asked for too.
enum Openssl {
    Agrees,
    /// Why it cannot be compared.
    Differs(&'static str),
}

struct Case {
    name: &'static str,
    /// The client's own certificate first.
    chain: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationList>,
    strictness: Strictness,
    expected: Result<(), Refusal>,
    openssl: Openssl,
}

fn case(name: &'static str, chain: &[&Certificate], expected: Result<(), Refusal>) -> Case {
    Case {
        name,
        chain: chain.iter().map(|one| one.der().clone()).collect(),
        lists: Vec::new(),
        strictness: Strictness::Lenient,
        expected,
        openssl: Openssl::Agrees,
    }
}

impl Case {
    fn lists(mut self, lists: Vec<CertificateRevocationList>, strictness: Strictness) -> Case {
        self.lists = lists;
        self.strictness = strictness;
        self
    }

    fn openssl_differs(mut self, why: &'static str) -> Case {
        self.openssl = Openssl::Differs(why);
        self
    }
}

/// What is the matter with certificates and chains, without any list.
fn chains(root: &Authority) -> Vec<Case> {
    let good = root.issue(&client(1));
    let middle = root.below(authority_parameters("Middle CA"));
    let below_middle = middle.issue(&client(1));
    let changed = |change: &dyn Fn(&mut CertificateParams)| {
        let mut parameters = client(1);
        change(&mut parameters);
        parameters
    };
    let issued = |change: &dyn Fn(&mut CertificateParams)| root.issue(&changed(change));
    let expired = issued(&|it| it.not_after = date_time_ymd(2026, 6, 1));
    let early = issued(&|it| it.not_before = date_time_ymd(2026, 7, 1));
    let servers = issued(&|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let any_use = issued(&|it| it.extended_key_usages.clear());
    let authority = issued(&|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let self_signed = client(1).self_signed(&key()).expect("a certificate");
    let other = Authority::root("Other CA").issue(&client(1));
    let namesake = Authority::root("Root CA").issue(&client(1));
    let no_authority = root.below(named("no authority"));
    let below_nobody = no_authority.issue(&client(1));
    let mut old = authority_parameters("Old CA");
    old.not_after = date_time_ymd(2026, 6, 1);
    let old = root.below(old);
    let below_old = old.issue(&client(1));
    let mut last = authority_parameters("Last CA");
    last.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let last = root.below(last);
    let past_last = last.below(authority_parameters("One too many"));
    let below_past_last = past_last.issue(&client(1));
    let mut bound = authority_parameters("Bound CA");
    bound.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("inside.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let bound = root.below(bound);
    let with_name = |name: &str| {
        let name = SanType::DnsName(name.try_into().expect("a name"));
        bound.issue(&changed(&|it| it.subject_alt_names = vec![name.clone()]))
    };
    let (inside, outside) = (
        with_name("a.inside.example"),
        with_name("a.outside.example"),
    );
    let mut broken = case("cut in its middle", &[&good], Err(Refusal::Malformed));
    let half = broken.chain[0].len() / 2;
    broken.chain[0] = broken.chain[0][..half].to_vec().into();
    let mut forged = case(
        "changed after it was signed",
        &[&good],
        Err(Refusal::BadSignature),
    );
    let mut bytes = forged.chain[0].to_vec();
    let name = bytes
        .windows(5)
        .position(|part| part == b"alice")
        .expect("its name");
    bytes[name..name + 5].copy_from_slice(b"admin");
    forged.chain[0] = bytes.into();
    let long = vec![&good; 9];
    vec![
        case("issued by the root", &[&good], Ok(())),
        case(
            "with the root's own certificate behind it",
            &[&good, &root.certificate],
            Ok(()),
        ),
        case(
            "through another authority",
            &[&below_middle, &middle.certificate],
            Ok(()),
        ),
        case(
            "the authority between is missing",
            &[&below_middle],
            Err(Refusal::UnknownIssuer),
        ),
        case("expired", &[&expired], Err(Refusal::Expired)),
        case("not yet valid", &[&early], Err(Refusal::NotYetValid)),
        case(
            "the authority between is expired",
            &[&below_old, &old.certificate],
            Err(Refusal::Expired),
        ),
        case("self-signed", &[&self_signed], Err(Refusal::SelfSigned)),
        case(
            "of another authority",
            &[&other],
            Err(Refusal::UnknownIssuer),
        ),
        case(
            "of another authority of the same name",
            &[&namesake],
            Err(Refusal::BadSignature),
        ),
        case("for servers only", &[&servers], Err(Refusal::NotForClients)),
        case("for any use", &[&any_use], Ok(())),
        case(
            "an authority's own",
            &[&authority],
            Err(Refusal::AuthorityAsClient),
        )
        .openssl_differs("takes an authority's certificate for a client's"),
        case(
            "issued by somebody who is no authority",
            &[&below_nobody, &no_authority.certificate],
            Err(Refusal::IssuerNotAuthorized),
        ),
        case(
            "an authority too many",
            &[&below_past_last, &past_last.certificate, &last.certificate],
            Err(Refusal::IssuerNotAuthorized),
        ),
        case(
            "inside the names allowed",
            &[&inside, &bound.certificate],
            Ok(()),
        ),
        case(
            "outside the names allowed",
            &[&outside, &bound.certificate],
            Err(Refusal::NameConstraint),
        ),
        case("nine certificates", &long, Err(Refusal::ChainTooLong))
            .openssl_differs("has no bound on certificates that are not used"),
        broken,
        forged,
    ]
}

/// What lists have to say.
fn revocations(root: &Authority) -> Vec<Case> {
    use Strictness::{Lenient, Strict};
    let (good, revoked) = (root.issue(&client(1)), root.issue(&client(666)));
    let mut middle = authority_parameters("Middle CA");
    middle.serial_number = Some(SerialNumber::from(77_u64));
    let middle = root.below(middle);
    let below = middle.issue(&client(1));
    let chain = [&below, &middle.certificate];
    let fresh = || root.list(&[666], 2030);
    let old = || root.list(&[666], 2026);
    let elsewhere = || Authority::root("Other CA").list(&[1], 2030);
    let forged = || Authority::root("Root CA").list(&[], 2030);
    let lenient = "has no lenient way with lists";
    vec![
        case("on no list", &[&good], Ok(())).lists(vec![fresh()], Strict),
        case("revoked", &[&revoked], Err(Refusal::Revoked)).lists(vec![fresh()], Strict),
        case("revoked, leniently", &[&revoked], Err(Refusal::Revoked))
            .lists(vec![fresh()], Lenient),
        case(
            "revoked by an old list, leniently",
            &[&revoked],
            Err(Refusal::Revoked),
        )
        .lists(vec![old()], Lenient),
        case("an old list", &[&good], Err(Refusal::RevocationListExpired))
            .lists(vec![old()], Strict),
        case("an old list, leniently", &[&good], Ok(()))
            .lists(vec![old()], Lenient)
            .openssl_differs(lenient),
        case(
            "a list of another authority only",
            &[&good],
            Err(Refusal::RevocationUnknown),
        )
        .lists(vec![elsewhere()], Strict),
        case(
            "a list of another authority only, leniently",
            &[&good],
            Ok(()),
        )
        .lists(vec![elsewhere()], Lenient)
        .openssl_differs(lenient),
        case(
            "a list forged in the authority's name",
            &[&good],
            Err(Refusal::RevocationListForged),
        )
        .lists(vec![forged()], Strict),
        case(
            "a forged list, leniently",
            &[&good],
            Err(Refusal::RevocationListForged),
        )
        .lists(vec![forged()], Lenient),
        case("lists of every authority of the chain", &chain, Ok(()))
            .lists(vec![root.list(&[], 2030), middle.list(&[], 2030)], Strict),
        case(
            "no list of the authority between",
            &chain,
            Err(Refusal::RevocationUnknown),
        )
        .lists(vec![root.list(&[], 2030)], Strict),
        case(
            "revoked by the authority between",
            &chain,
            Err(Refusal::Revoked),
        )
        .lists(vec![root.list(&[], 2030), middle.list(&[1], 2030)], Strict),
        case(
            "the authority between is revoked",
            &chain,
            Err(Refusal::Revoked),
        )
        .lists(vec![root.list(&[77], 2030), middle.list(&[], 2030)], Strict),
        case("the same number, of another authority", &chain, Ok(()))
            .lists(vec![root.list(&[1], 2030), middle.list(&[], 2030)], Strict),
    ]
}

fn ours(case: &Case, root: &Authority) -> Result<(), Refusal> {
    let lists: Vec<_> = case.lists.iter().map(|list| list.der().clone()).collect();
    let roots = [root.certificate.der().clone()];
    let trust = Trust::new(&roots, &lists, case.strictness).expect("well formed");
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    verify(&case.chain, &trust, now).map(|_| ())
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|at| &body[at..body.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Whether openssl believes it, and what it says.
fn openssl(case: &Case, root: &Authority) -> (bool, String) {
    let directory = TempDir::new().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    let chain: Vec<String> = (case.chain.iter().map(|der| pem("CERTIFICATE", der))).collect();
    fs::write(path("root"), root.certificate.pem()).expect("written");
    fs::write(path("own"), &chain[0]).expect("written");
    fs::write(path("above"), chain[1..].concat()).expect("written");
    let mut command = Command::new("openssl");
    let now = NOW.to_string();
    command.current_dir(directory.path()).args([
        "verify",
        "-CAfile",
        "root",
        "-purpose",
        "sslclient",
        "-attime",
        &now,
    ]);
    if chain.len() > 1 {
        command.args(["-untrusted", "above"]);
    }
    if !case.lists.is_empty() {
        let lists = case.lists.iter().map(|list| list.pem().expect("PEM"));
        fs::write(path("lists"), lists.collect::<String>()).expect("written");
        command.args(["-crl_check_all", "-CRLfile", "lists"]);
    }
    let done = command.arg("own").output().expect("openssl is installed");
    let said = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn each_certificate_gets_its_verdict_and_openssl_agrees() {
    let root = Authority::root("Root CA");
    let mut cases = chains(&root);
    cases.extend(revocations(&root));
    let mut wrong = Vec::new();
    for case in &cases {
        let found = ours(case, &root);
        if found != case.expected {
            wrong.push(format!("{}: {found:?}, not {:?}", case.name, case.expected));
        }
        let (believed, said) = openssl(case, &root);
        let agrees = believed == case.expected.is_ok();
        match case.openssl {
            Openssl::Agrees if !agrees => wrong.push(format!("{}: openssl: {said}", case.name)),
            Openssl::Differs(why) if agrees => {
                wrong.push(format!("{}: openssl does not differ ({why})", case.name));
            }
            _ => {}
        }
    }
    assert!(cases.len() >= 35);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_goes_on_is_looked_up_by_issuer_and_number() {
    let root = Authority::root("Root CA");
    let (good, revoked) = (root.issue(&client(1)), root.issue(&client(666)));
    let other = Authority::root("Other CA").issue(&client(666));
    let lists = [root.list(&[666], 2030).der().clone()];
    let roots = [root.certificate.der().clone()];
    let trust = Trust::new(&roots, &lists, Strictness::Lenient).expect("well formed");
    let revokes = |one: &Certificate| trust.revokes(&[one.der().clone()]);
    assert!(revokes(&revoked));
    assert!(!revokes(&good) && !revokes(&other));
    assert!(!trust.revokes(&[CertificateDer::from(vec![0x30, 0])]));
}
