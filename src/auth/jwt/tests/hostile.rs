//! What a stranger sends.

use super::*;
use crate::auth::jwt::signer::base64url;
use crate::auth::jwt::{CLAIMS_MAX, KEY_ID_BYTES_MAX, Part, TOKEN_BYTES_MAX};
use crate::auth::strict_json::Fault;
use ring::hmac;

/// With this header, well signed by the P-256 key.
fn with_header(world: &World, header: Value) -> Result<Verified, Refusal> {
    let token = world.es256.sign(header.to_string(), claims().to_string());
    world.verify(&token)
}

/// With these claims to the byte, well signed.
fn with_claims(world: &World, claims: &[u8]) -> Result<Verified, Refusal> {
    let header = json!({"alg": "ES256", "kid": "elliptic"}).to_string();
    world.verify(&world.es256.sign(header, claims))
}

#[test]
fn alg_none_and_algorithms_that_are_not_taken_are_refused() {
    let world = World::new();
    for alg in [
        "none", "None", "nOnE", "HS256", "RS512", "PS256", "EdDSA", "",
    ] {
        let header = json!({"alg": alg, "kid": "elliptic"}).to_string();
        let unsigned = format!("{}.{}.", base64url(header), base64url(claims().to_string()));
        assert_eq!(world.verify(&unsigned), Err(Refusal::Algorithm), "{alg}");
    }
    for header in [
        json!({"kid": "elliptic"}),
        json!({"alg": 256}),
        json!({"alg": ["ES256"]}),
    ] {
        assert_eq!(with_header(&world, header), Err(Refusal::Algorithm));
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let world = World::new();
    let header = base64url(json!({"alg": "HS256", "kid": "rsa"}).to_string());
    let message = format!("{header}.{}", base64url(claims().to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &world.rs256.public());
    let signature = base64url(hmac::sign(&key, message.as_bytes()));
    let token = format!("{message}.{signature}");
    assert_eq!(world.verify(&token), Err(Refusal::Algorithm));
}

#[test]
fn an_algorithm_that_is_not_its_keys_is_refused() {
    let world = World::new();
    let cases = [
        (&world.rs256, json!({"alg": "ES256", "kid": "rsa"})),
        (&world.es256, json!({"alg": "RS256", "kid": "elliptic"})),
        (&world.es256, json!({"alg": "ES384", "kid": "elliptic"})),
        (&world.es256, json!({"alg": "ES256", "kid": "longer"})),
    ];
    for (signer, header) in cases {
        let token = signer.sign(header.to_string(), claims().to_string());
        let refusal = world.verify(&token).unwrap_err();
        assert!(
            matches!(refusal, Refusal::AlgorithmOfKey(_)),
            "{header}: {refusal}"
        );
    }
}

#[test]
fn a_kid_of_another_provider_is_unknown_and_its_key_signs_nothing_here() {
    let world = World::new();
    let other = Signer::new(Kind::Es256, "theirs");
    let token = other.token(&claims());
    assert_eq!(world.verify(&token), Err(Refusal::UnknownKid(3)));
    let swapped = Signer::new(Kind::Es256, "elliptic").token(&claims());
    assert_eq!(world.verify(&swapped), Err(Refusal::Signature));
    let theirs = KeySet::parse(key_set(&[&other]).as_bytes()).expect("a key set");
    let token = Token::parse(&token).expect("well-formed");
    let checks = Checks {
        issuer: "https://other.example/",
        ..checks()
    };
    let verified = verify(token, &checks, &theirs, NOW);
    assert_eq!(
        verified,
        Err(Refusal::Issuer),
        "signed by them, in our name"
    );
}

#[test]
fn without_a_kid_only_the_one_key_of_its_algorithm_will_do() {
    let world = World::new();
    assert!(with_header(&world, json!({"alg": "ES256"})).is_ok());
    let second = Signer::new(Kind::Es256, "second");
    let document = key_set(&[&world.es256, &second]);
    let keys = KeySet::parse(document.as_bytes()).expect("a key set");
    let judge = |header: Value, signer: &Signer| {
        let token = signer.sign(header.to_string(), claims().to_string());
        let token = Token::parse(&token).expect("well-formed");
        verify(token, &checks(), &keys, NOW).unwrap_err()
    };
    let undecided = judge(json!({"alg": "ES256"}), &second);
    assert!(matches!(undecided, Refusal::NoKid(_, 2)), "{undecided}");
    let none = judge(json!({"alg": "RS256"}), &world.rs256);
    assert!(matches!(none, Refusal::NoKid(_, 0)), "{none}");
}

#[test]
fn a_kid_is_a_text_of_at_most_256_bytes() {
    let world = World::new();
    for kid in [json!(7), json!(""), json!(null), json!(["elliptic"])] {
        let header = json!({"alg": "ES256", "kid": kid});
        assert_eq!(with_header(&world, header), Err(Refusal::KeyId), "{kid}");
    }
    let long = |length: usize| {
        let header = json!({"alg": "ES256", "kid": "k".repeat(length)});
        with_header(&world, header).unwrap_err()
    };
    assert_eq!(long(KEY_ID_BYTES_MAX), Refusal::UnknownKid(3));
    assert_eq!(long(KEY_ID_BYTES_MAX + 1), Refusal::KeyId);
}

#[test]
fn critical_headers_and_what_would_be_another_kind_of_token_are_refused() {
    let world = World::new();
    let with = |name: &str, value: Value| {
        let mut header = json!({"alg": "ES256", "kid": "elliptic"});
        header[name] = value;
        with_header(&world, header).map(|_| ())
    };
    assert_eq!(with("crit", json!(["exp"])), Err(Refusal::Critical));
    assert_eq!(with("crit", json!([])), Err(Refusal::Critical));
    assert_eq!(
        with("zip", json!("DEF")),
        Err(Refusal::CompressedOrEncrypted)
    );
    assert_eq!(
        with("enc", json!("A256GCM")),
        Err(Refusal::CompressedOrEncrypted)
    );
    assert_eq!(with("cty", json!("JWT")), Err(Refusal::Nested));
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "application/at+jwt",
        "Application/JWT",
    ] {
        assert_eq!(with("typ", json!(typ)), Ok(()), "{typ}");
    }
    for typ in [
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("JOSE"),
        json!(""),
        json!(1),
    ] {
        assert_eq!(with("typ", typ.clone()), Err(Refusal::Type), "{typ}");
    }
}

#[test]
fn headers_that_bring_a_key_or_its_address_are_not_looked_at() {
    let world = World::new();
    let stranger = Signer::new(Kind::Es256, "elliptic");
    let header = json!({"alg": "ES256", "kid": "elliptic", "jwk": stranger.jwk(),
        "jku": "https://evil.example/keys", "x5u": "https://evil.example/chain",
        "x5c": ["MIIB"], "x5t": "AAAA"});
    let token = stranger.sign(header.to_string(), claims().to_string());
    assert_eq!(world.verify(&token), Err(Refusal::Signature));
    assert!(with_header(&world, header).is_ok(), "and they do no harm");
}

#[test]
fn duplicate_claims_and_headers_are_refused() {
    let world = World::new();
    let twice = claims().to_string().replacen('{', "{\"sub\":\"root\",", 1);
    let duplicate = |part| Err(Refusal::NotStrictJson(part, Fault::DuplicateName));
    assert_eq!(
        with_claims(&world, twice.as_bytes()),
        duplicate(Part::Claims)
    );
    let header = r#"{"alg":"none","alg":"ES256","kid":"elliptic"}"#;
    let token = world.es256.sign(header, claims().to_string());
    assert_eq!(world.verify(&token), duplicate(Part::Header));
}

#[test]
fn claims_that_are_not_one_object_of_text_in_utf_8_are_refused() {
    let world = World::new();
    let cases: [(&[u8], Fault); 5] = [
        (b"{\"iss\":\"\xff\xfe\"}", Fault::NotUtf8),
        (b"[]", Fault::NotAnObject),
        (b"\"eyJhbGciOiJub25lIn0.e30.\"", Fault::NotAnObject),
        (b"", Fault::NotJson),
        (b"{\"exp\":1e400}", Fault::NotJson),
    ];
    for (claims, fault) in cases {
        let refused = Err(Refusal::NotStrictJson(Part::Claims, fault));
        assert_eq!(with_claims(&world, claims), refused, "{claims:?}");
    }
}

#[test]
fn claims_are_limited_in_number_and_in_depth() {
    let world = World::new();
    let many = |count: usize| {
        let mut claims = claims();
        for number in 5..count {
            claims[format!("c{number}")] = json!(number);
        }
        world.judge(&claims).map(|_| ())
    };
    assert_eq!(many(CLAIMS_MAX), Ok(()));
    let fault = Fault::TooManyMembers(CLAIMS_MAX);
    assert_eq!(
        many(CLAIMS_MAX + 1),
        Err(Refusal::NotStrictJson(Part::Claims, fault))
    );
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let text = claims().to_string();
        let text = text.replacen('{', &format!("{{\"deep\":{open}{close},"), 1);
        with_claims(&world, text.as_bytes()).map(|_| ())
    };
    assert_eq!(deep(15), Ok(()));
    let fault = Fault::TooDeep;
    assert_eq!(deep(16), Err(Refusal::NotStrictJson(Part::Claims, fault)));
}

#[test]
fn a_token_of_16_kib_is_read_and_one_byte_more_is_not() {
    let world = World::new();
    let of = |length: usize| {
        // Three bytes are four characters: a length that fits is found by trying.
        let base = world.es256.token(&claims_but(json!({"pad": ""}))).len();
        let mut padding = (length - base) / 4 * 3 - 4;
        loop {
            let claims = claims_but(json!({"pad": "p".repeat(padding)}));
            let token = world.es256.token(&claims);
            match token.len() {
                reached if reached == length => return Some(token),
                reached if reached > length => return None,
                _ => padding += 1,
            }
        }
    };
    let whole = of(TOKEN_BYTES_MAX).or_else(|| of(TOKEN_BYTES_MAX - 1));
    assert!(world.verify(&whole.expect("a length that fits")).is_ok());
    let longer = of(TOKEN_BYTES_MAX + 1).or_else(|| of(TOKEN_BYTES_MAX + 2));
    let longer = longer.expect("a length that fits");
    assert_eq!(world.verify(&longer), Err(Refusal::TooLong));
}

#[test]
fn a_token_has_three_parts_in_base64url_without_padding() {
    let world = World::new();
    let good = world.es256.token(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts[..] else {
        panic!("three parts");
    };
    for shape in ["", ".", "a.b", "a.b.c.d.e", "....", header] {
        let refused = Token::parse(shape).map(|_| ());
        assert_eq!(refused, Err(Refusal::NotThreeParts), "{shape}");
    }
    let cases = [
        (format!("{header}=.{body}.{signature}"), Part::Header),
        (format!(" {header}.{body}.{signature}"), Part::Header),
        (format!("{header}.{body}\n.{signature}"), Part::Claims),
    ];
    for (token, part) in cases {
        let refused = Token::parse(&token).map(|_| ());
        assert_eq!(refused, Err(Refusal::NotBase64(part)), "{token}");
    }
    for signature in [
        "",
        &format!("{signature}=="),
        &format!("{signature}+/"),
        &format!(" {signature}"),
        "\u{e9}",
    ] {
        let token = format!("{header}.{body}.{signature}");
        let refused = world.verify(&token);
        assert_eq!(refused, Err(Refusal::Signature), "{signature}");
    }
}

#[test]
fn a_bit_changed_anywhere_is_a_wrong_signature_or_an_unreadable_token() {
    let world = World::new();
    for signer in [&world.es256, &world.es384, &world.rs256] {
        let good = signer.token(&claims());
        for place in (0..good.len()).step_by(7) {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(world.verify(&changed).is_err(), "{place}");
        }
    }
}

#[test]
fn a_token_prints_nothing_of_itself() {
    let world = World::new();
    let text = world.es256.token(&claims());
    let token = Token::parse(&text).expect("well-formed");
    assert_eq!(format!("{token:?}"), "Token(ES256, ***)");
}
