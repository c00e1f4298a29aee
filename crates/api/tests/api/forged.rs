//! Tokens that somebody without a key makes, where the issuer's keys are public.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};
use crate::issuer::{Issuer, SigningKey};
use crate::openapi::{document, operations};
use crate::tokens::{claims, now};

/// A service whose issuer has an RSA key `r` and one on the curve P-256, `e`.
struct Target {
    app: TestApp,
    rsa: SigningKey,
    ec: SigningKey,
    issuer: Issuer,
}

impl Target {
    async fn start() -> Self {
        let (rsa, ec) = (SigningKey::rsa("r"), SigningKey::ec("e"));
        let issuer = Issuer::publishing(&[&rsa, &ec]).await;
        let builder = TestApp::builder().await.with(|config| {
            config.auth.hs256_secret = None;
            config.auth.jwks_url = Some(issuer.url.clone());
        });
        Self {
            app: builder.start().await,
            rsa,
            ec,
            issuer,
        }
    }

    /// The claims of a good token.
    fn claims(&self) -> Value {
        claims(self.app.user, self.app.organization)
    }

    async fn ask(&self, token: &str) -> Answer {
        let request = self.app.anonymous(reqwest::Method::GET, "/api/v1/export");
        Answer::to(request.bearer_auth(token)).await
    }

    async fn assert_refused(&self, token: &str) {
        let answer = self.ask(token).await;
        answer.assert_problem(401, "token_invalid");
    }
}

fn named(algorithm: Algorithm, kid: &str) -> Header {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    header
}

/// Puts a header and claims together, with a signature of any bytes.
fn unsigned(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (header, claims) = (header.to_string(), claims.to_string());
    let [header, claims] = [header, claims].map(|json| part(json.as_bytes()));
    format!("{header}.{claims}.{}", part(signature))
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let target = Target::start().await;
    let pem = include_str!("rsa.pub.pem");
    let body: String = pem.lines().filter(|line| !line.contains("--")).collect();
    let modulus = target.rsa.public["n"].as_str().unwrap();
    let secrets = [
        pem.into(),
        pem.trim_end().into(),
        pem.replace('\n', "\r\n").into(),
        STANDARD.decode(&body).unwrap(),
        body.into_bytes(),
        modulus.into(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        target.rsa.public.to_string().into_bytes(),
        Vec::new(),
    ];
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        for secret in &secrets {
            let secret = EncodingKey::from_secret(secret);
            let token = encode(&named(algorithm, "r"), &target.claims(), &secret).unwrap();
            target.assert_refused(&token).await;
        }
    }
}

#[tokio::test]
async fn no_operation_takes_a_token_that_nobody_has_signed() {
    let target = Target::start().await;
    let document = document(&target.app).await;
    let none = unsigned(&json!({ "alg": "none", "kid": "r" }), &target.claims(), b"");
    let mut protected = 0;
    for (method, path, operation) in operations(&document) {
        if operation.get("security").is_some() {
            let path = path.replace("{id}", &uuid::Uuid::new_v4().to_string());
            let request = target.app.anonymous(method, &path).bearer_auth(&none);
            Answer::to(request)
                .await
                .assert_problem(401, "token_invalid");
            protected += 1;
        }
    }
    assert!(protected > 10);
    for algorithm in ["none", "None", "NONE", "nOnE", "", "RS256", "ES256"] {
        for kid in ["r", "e"] {
            let header = json!({ "alg": algorithm, "kid": kid });
            // Of one r and s that are zero, some have been made to believe.
            for signature in [&[][..], &[0; 64], &[0; 256]] {
                let token = unsigned(&header, &target.claims(), signature);
                target.assert_refused(&token).await;
            }
        }
    }
}

#[tokio::test]
async fn a_token_does_not_say_which_key_it_is_checked_with() {
    let target = Target::start().await;
    let own = SigningKey::ec("mine");
    let elsewhere = Issuer::publishing(&[&own]).await;
    let key = serde_json::from_value(own.public.clone()).unwrap();
    let brought = Header {
        jwk: Some(key),
        ..named(Algorithm::ES256, "mine")
    };
    let linked = Header {
        jku: Some(elsewhere.url.to_string()),
        x5u: Some(elsewhere.url.to_string()),
        ..named(Algorithm::ES256, "mine")
    };
    for header in [brought, linked] {
        for kid in ["mine", "e"] {
            let header = Header {
                kid: Some(kid.to_owned()),
                ..header.clone()
            };
            let token = own.sign_under(&header, &target.claims());
            target.assert_refused(&token).await;
        }
    }
    for kid in ["../../../../dev/null", "e' OR '1'='1", "e\0", "", "E"] {
        let header = named(Algorithm::ES256, kid);
        let token = own.sign_under(&header, &target.claims());
        target.assert_refused(&token).await;
    }
    assert_eq!(elsewhere.fetches(), 0);
    assert_eq!(target.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_key_signs_with_its_own_algorithm_only() {
    let target = Target::start().await;
    for algorithm in [
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS512,
    ] {
        let header = named(algorithm, "r");
        let token = target.rsa.sign_under(&header, &target.claims());
        target.assert_refused(&token).await;
    }
    // Each with the other's name.
    let header = named(Algorithm::ES256, "r");
    let token = target.ec.sign_under(&header, &target.claims());
    target.assert_refused(&token).await;
    let header = named(Algorithm::RS256, "e");
    let token = target.rsa.sign_under(&header, &target.claims());
    target.assert_refused(&token).await;
}

#[tokio::test]
async fn what_is_signed_must_be_meant_for_this_service_too() {
    let target = Target::start().await;
    let with = |name: &str, value: Value| {
        let mut claims = target.claims();
        claims[name] = value;
        target.rsa.sign(&claims)
    };
    assert_eq!(
        target.ask(&target.rsa.sign(&target.claims())).await.status,
        200
    );
    for (name, value) in [
        ("aud", json!("another")),
        ("aud", json!(["another", "EXPORT-API"])),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("iss", json!("another")),
        ("iss", json!("telemetryflow.example.com")),
        ("iss", Value::Null),
        ("nbf", json!(now() + 600)),
        ("exp", json!("9999999999")),
        ("exp", Value::Null),
        ("organizationId", json!([target.app.organization])),
        ("sub", json!(format!("{}'--", target.app.user))),
    ] {
        target.assert_refused(&with(name, value)).await;
    }
    let expired = target.ask(&with("exp", json!(now() - 600))).await;
    expired.assert_problem(401, "token_expired");
}
