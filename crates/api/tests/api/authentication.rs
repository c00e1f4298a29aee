//! HS256: who is let in, and who is not.

use api::App;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use runtime::shutdown::Shutdown;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, TestApp, minimal};
use crate::tokens::{SECRET, claims, hs256, now};

async fn ask(app: &TestApp, token: &str) -> Answer {
    let path = format!("/api/v1/export/{}", Uuid::new_v4());
    Answer::to(app.anonymous(Method::GET, &path).bearer_auth(token)).await
}

fn with(app: &TestApp, name: &str, value: Value) -> Value {
    let mut claims = claims(app.user, app.organization);
    claims[name] = value;
    claims
}

fn without(app: &TestApp, name: &str) -> Value {
    let mut claims = claims(app.user, app.organization);
    claims.as_object_mut().unwrap().shift_remove(name);
    claims
}

#[tokio::test]
async fn a_good_token_is_let_in() {
    let app = TestApp::start().await;
    let good = [
        claims(app.user, app.organization),
        with(&app, "aud", json!(["another", "export-api"])),
        with(&app, "nbf", json!(now() + 20)),
        with(&app, "exp", json!(now() - 20)),
    ];
    for claims in good {
        ask(&app, &hs256(&claims))
            .await
            .assert_problem(404, "not_found");
    }
    let path = format!("/api/v1/export/{}", Uuid::new_v4());
    let lower_case = app
        .anonymous(Method::GET, &path)
        .header("authorization", format!("bearer {}", app.token()));
    Answer::to(lower_case)
        .await
        .assert_problem(404, "not_found");
}

#[tokio::test]
async fn a_token_must_be_signed_and_meant_for_this_service() {
    let app = TestApp::start().await;
    let bad = [
        with(&app, "aud", json!("another")),
        with(&app, "aud", json!(7)),
        without(&app, "aud"),
        with(&app, "iss", json!("another")),
        without(&app, "iss"),
        without(&app, "exp"),
        with(&app, "exp", json!("tomorrow")),
        with(&app, "nbf", json!(now() + 300)),
        without(&app, "sub"),
        with(&app, "sub", json!("ada")),
        with(&app, "organizationId", json!("acme")),
        with(&app, "organizationId", json!(7)),
    ];
    for claims in bad {
        let answer = ask(&app, &hs256(&claims)).await;
        answer.assert_problem(401, "token_invalid");
        assert!(
            answer
                .header("www-authenticate")
                .contains("error=\"invalid_token\""),
            "{claims}"
        );
    }
}

#[tokio::test]
async fn a_user_without_an_organization_is_told_so() {
    let app = TestApp::start().await;
    for claims in [
        with(&app, "organizationId", Value::Null),
        with(&app, "organizationId", json!("")),
        without(&app, "organizationId"),
    ] {
        let answer = ask(&app, &hs256(&claims)).await;
        answer.assert_problem(403, "organization_missing");
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
        }
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{challenge}"
        );
    }
    let mut forged = with(&app, "organizationId", Value::Null);
    forged["exp"] = json!(now() - 120);
    let expired = ask(&app, &hs256(&forged)).await;
    expired.assert_problem(401, "token_expired");
}

#[tokio::test]
async fn a_token_of_any_size_is_answered_with_a_problem() {
    let app = TestApp::start().await;
    // As much as the headers of a request can hold, about.
    let much = "x".repeat(11_000);
    let large = hs256(&with(&app, "picture", json!(much)));
    ask(&app, &large).await.assert_problem(404, "not_found");
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let good = app.token();
    let (_, rest) = good.split_once('.').unwrap();
    let (nested, many) = ("[".repeat(11_000), "{\"a\":".repeat(1_800));
    for header in [
        format!(r#"{{"alg":"HS256","kid":"{much}"}}"#),
        format!(r#"{{"alg":"{much}"}}"#),
        format!(r#"{{"alg":"HS256","x5c":{nested}"#),
        nested,
        many,
    ] {
        let token = format!("{}.{rest}", part(&header));
        let answer = ask(&app, &token).await;
        answer.assert_problem(401, "token_invalid");
        assert!(answer.body.to_string().len() < 1000);
    }
    let header = part(r#"{"alg":"HS256"}"#);
    for token in [
        format!("{header}.{much}.AA"),
        format!("{header}.e30.{much}"),
        ".".repeat(11_000),
    ] {
        ask(&app, &token).await.assert_problem(401, "token_invalid");
    }
}

#[tokio::test]
async fn no_other_signature_will_do() {
    let app = TestApp::start().await;
    let claims = claims(app.user, app.organization);
    let good = app.token();
    let (message, _) = good.rsplit_once('.').unwrap();
    let (_, payload) = message.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let other_secret = EncodingKey::from_secret(b"another secret that is long enough, too");
    let same_secret = EncodingKey::from_secret(SECRET.as_bytes());
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["b64".to_owned()]);
    let bad = [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{}", good.rsplit_once('.').unwrap().1),
        format!("{message}."),
        encode(&Header::new(Algorithm::HS256), &claims, &other_secret).unwrap(),
        encode(&Header::new(Algorithm::HS512), &claims, &same_secret).unwrap(),
        encode(&critical, &claims, &same_secret).unwrap(),
        "not.a.token".to_owned(),
        "no-dots-at-all".to_owned(),
    ];
    for token in bad {
        let answer = ask(&app, &token).await;
        answer.assert_problem(401, "token_invalid");
        assert!(!answer.body.to_string().contains(&token), "{token}");
    }
}

#[tokio::test]
async fn an_expired_token_has_a_code_of_its_own() {
    let app = TestApp::start().await;
    let expired = hs256(&with(&app, "exp", json!(now() - 120)));
    let answer = ask(&app, &expired).await;
    answer.assert_problem(401, "token_expired");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
    assert!(!answer.body.to_string().contains(&expired));
}

#[tokio::test]
async fn no_token_is_told_apart_from_a_bad_one() {
    let app = TestApp::start().await;
    let answer = Answer::to(
        app.anonymous(Method::POST, "/api/v1/export")
            .json(&minimal()),
    )
    .await;
    answer.assert_problem(401, "token_missing");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"export\"");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
    let basic = app
        .anonymous(Method::GET, "/api/v1/export/1")
        .basic_auth("ada", Some("x"));
    Answer::to(basic).await.assert_problem(401, "token_missing");
}

#[tokio::test]
async fn issuer_audience_and_claims_are_configurable() {
    let builder = TestApp::builder().await.with(|config| {
        config.auth.issuer = None;
        config.auth.audience = None;
        config.auth.user_claim = "https://example.com/user".to_owned();
        config.auth.organization_claim = "https://example.com/org".to_owned();
    });
    let app = builder.start().await;
    let mut claims =
        json!({ "sub": "auth0|7", "exp": now() + 60, "https://example.com/user": app.user });
    ask(&app, &hs256(&claims))
        .await
        .assert_problem(403, "organization_missing");
    claims["https://example.com/org"] = json!(app.organization);
    for (iss, aud) in [
        (Value::Null, Value::Null),
        (json!("anybody"), json!("anything")),
        (json!(7), json!([])),
    ] {
        claims["iss"] = iss;
        claims["aud"] = aud;
        ask(&app, &hs256(&claims))
            .await
            .assert_problem(404, "not_found");
    }
    claims["https://example.com/user"] = json!("ada");
    ask(&app, &hs256(&claims))
        .await
        .assert_problem(401, "token_invalid");
}

#[tokio::test]
async fn a_service_that_could_let_anybody_in_does_not_start() {
    let refusal = async |secret: Option<&str>, jwks_url: Option<&str>| {
        let mut config = TestApp::builder().await.config;
        config.auth.hs256_secret = secret.map(SecretString::from);
        config.auth.jwks_url = jwks_url.map(|url| url.parse().unwrap());
        let refusal = App::new(&config, "test", &Shutdown::default())
            .await
            .err()
            .expect("it does not start");
        refusal.to_string()
    };
    let one = "auth: set exactly one of hs256_secret and jwks_url";
    let says = |text: &str| format!("the configuration is wrong:\n  {text}");
    assert_eq!(refusal(None, None).await, says(one));
    assert_eq!(
        refusal(Some(SECRET), Some("http://localhost/")).await,
        says(one)
    );
    assert_eq!(
        refusal(Some("only 31 bytes, which is too few"), None).await,
        says("auth: hs256_secret must have at least 32 bytes")
    );
    let mut config = TestApp::builder().await.config;
    config.auth.jwks_stale_s = config.auth.jwks_cache_s - 1;
    let refusal = App::new(&config, "test", &Shutdown::default()).await.err();
    assert_eq!(
        refusal.expect("it does not start").to_string(),
        says("auth: jwks_stale_s must be at least jwks_cache_s")
    );
}

#[tokio::test]
async fn everything_wrong_with_the_configuration_is_said_at_once() {
    let mut config = TestApp::builder().await.config;
    config.postgres.url = SecretString::from("nonsense with a password");
    config.redis.name = "a:b".to_owned();
    config.s3.secret_access_key = None;
    config.datasets.preset = "/nowhere.toml".to_owned();
    config.auth.leeway_s = 100_000;
    let error = App::new(&config, "test", &Shutdown::default())
        .await
        .err()
        .expect("it does not start");
    insta::assert_snapshot!(error);
}
