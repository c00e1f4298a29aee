//! RS256, ES256 and Ed25519: keys from the issuer's URL, kept, rotated, and kept when it is down.

use std::time::{Duration, Instant};

use api::Config;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, NOWHERE, TestApp};
use crate::issuer::{Issuer, SigningKey};
use crate::tokens::claims;

async fn start(issuer: &Issuer, change: impl FnOnce(&mut Config)) -> TestApp {
    let url = issuer.url.clone();
    let builder = TestApp::builder().await.with(|config| {
        config.auth.hs256_secret = None;
        config.auth.jwks_url = Some(url);
        change(config);
    });
    builder.start().await
}

fn good(app: &TestApp) -> Value {
    claims(app.user, app.organization)
}

async fn ask(app: &TestApp, token: &str) -> Answer {
    let path = format!("/api/v1/export/{}", Uuid::new_v4());
    Answer::to(app.anonymous(Method::GET, &path).bearer_auth(token)).await
}

async fn assert_let_in(app: &TestApp, token: &str) {
    ask(app, token).await.assert_problem(404, "not_found");
}

async fn assert_refused(app: &TestApp, token: &str) {
    ask(app, token).await.assert_problem(401, "token_invalid");
}

#[tokio::test]
async fn all_three_algorithms_are_known_and_keys_are_fetched_once() {
    let keys = [
        SigningKey::rsa("r"),
        SigningKey::ec("e"),
        SigningKey::ed("d"),
    ];
    let issuer = Issuer::publishing(&keys.each_ref()).await;
    let app = start(&issuer, |_| ()).await;
    for key in &keys {
        assert_let_in(&app, &key.sign(&good(&app))).await;
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn the_key_decides_the_algorithm() {
    let (rsa, ec) = (SigningKey::rsa("r"), SigningKey::ec("e"));
    let issuer = Issuer::publishing(&[&rsa, &ec]).await;
    let app = start(&issuer, |_| ()).await;
    // The public key is public: used as the secret of an HMAC, it must not make a token valid.
    let public = rsa.public["n"].as_str().unwrap();
    let pem = include_bytes!("rsa.pem");
    for secret in [public.as_bytes(), pem] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("r".to_owned());
        let confused = encode(&header, &good(&app), &EncodingKey::from_secret(secret)).unwrap();
        assert_refused(&app, &confused).await;
    }
    // A token signed with one key that names the other.
    let impostor = SigningKey::ec("r");
    assert_refused(&app, &impostor.sign(&good(&app))).await;
}

#[tokio::test]
async fn ed25519_has_two_names_in_tokens_and_in_keys() {
    let mut keys = [
        SigningKey::ed("old"),
        SigningKey::ed("new"),
        SigningKey::ed("none"),
    ];
    keys[0].public["alg"] = json!("EdDSA");
    keys[1].public["alg"] = json!("Ed25519");
    let issuer = Issuer::publishing(&keys.each_ref()).await;
    let app = start(&issuer, |_| ()).await;
    for key in &keys {
        for algorithm in ["EdDSA", "Ed25519"] {
            let header = json!({ "alg": algorithm, "kid": key.kid });
            assert_let_in(&app, &key.sign_raw(&header, &good(&app))).await;
        }
        let header = json!({ "alg": "Ed448", "kid": key.kid });
        assert_refused(&app, &key.sign_raw(&header, &good(&app))).await;
    }
}

#[tokio::test]
async fn a_token_without_a_kid_fits_the_only_key_of_its_algorithm() {
    let (rsa, ed) = (SigningKey::rsa("r"), SigningKey::ed("d"));
    let twins = [SigningKey::ec("e"), SigningKey::ec("f")];
    let issuer = Issuer::publishing(&[&rsa, &ed, &twins[0], &twins[1]]).await;
    let app = start(&issuer, |_| ()).await;
    for key in [&rsa, &ed] {
        assert_let_in(&app, &key.sign_nameless(&good(&app))).await;
    }
    for key in &twins {
        assert_refused(&app, &key.sign_nameless(&good(&app))).await;
        assert_let_in(&app, &key.sign(&good(&app))).await;
    }
}

#[tokio::test]
async fn keys_of_several_types_can_share_an_id() {
    let keys = [
        SigningKey::rsa("k"),
        SigningKey::ec("k"),
        SigningKey::ed("k"),
    ];
    let issuer = Issuer::publishing(&keys.each_ref()).await;
    let app = start(&issuer, |_| ()).await;
    for key in &keys {
        assert_let_in(&app, &key.sign(&good(&app))).await;
    }
    let impostor = SigningKey::ec("k");
    assert_refused(&app, &impostor.sign(&good(&app))).await;
}

#[tokio::test]
async fn odd_keys_spoil_nothing() {
    let mut odd = SigningKey::ec("odd");
    odd.public["x5c"] = json!("a text");
    let good_key = SigningKey::ed("good");
    let issuer = Issuer::publishing(&[]).await;
    issuer.publish_set(json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "kid": 7, "x": "AA", "y": "AA" },
        { "kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AA" },
        { "kty": "unheard of", "kid": "u" },
        { "kid": "no type" },
        "no object",
        odd.public,
        good_key.public,
    ] }));
    let app = start(&issuer, |_| ()).await;
    for key in [&odd, &good_key] {
        assert_let_in(&app, &key.sign(&good(&app))).await;
    }
    let short = SigningKey::ed("short");
    assert_refused(&app, &short.sign(&good(&app))).await;
}

#[tokio::test]
async fn a_set_without_a_usable_key_replaces_nothing() {
    let key = SigningKey::ed("d");
    let issuer = Issuer::publishing(&[&key]).await;
    let app = start(&issuer, |config| {
        config.auth.jwks_refetch_s = 0;
        config.auth.jwks_cache_s = 0;
    })
    .await;
    assert_let_in(&app, &key.sign(&good(&app))).await;
    let mut encryption = SigningKey::ec("e");
    encryption.public["use"] = json!("enc");
    for set in [
        json!({ "keys": [] }),
        json!({ "keys": [encryption.public] }),
        json!({ "error": "maintenance" }),
        json!({ "keys": [key.public], "padding": "x".repeat(2 << 20) }),
    ] {
        let fetches = issuer.fetches();
        issuer.publish_set(set);
        assert_let_in(&app, &key.sign(&good(&app))).await;
        assert_eq!(issuer.fetches(), fetches + 1);
    }
}

#[tokio::test]
async fn stale_keys_are_not_trusted_until_the_issuer_is_back() {
    let key = SigningKey::ed("d");
    let issuer = Issuer::publishing(&[&key]).await;
    let app = start(&issuer, |config| {
        config.auth.jwks_refetch_s = 0;
        config.auth.jwks_cache_s = 0;
        config.auth.jwks_stale_s = 1;
    })
    .await;
    let token = key.sign(&good(&app));
    assert_let_in(&app, &token).await;
    issuer.break_down();
    let broken = Instant::now();
    let refused = loop {
        let answer = ask(&app, &token).await;
        if answer.status != 404 {
            break answer;
        }
        assert!(broken.elapsed() < Duration::from_secs(10), "{answer:?}");
    };
    refused.assert_problem(503, "unavailable");
    issuer.publish(&[&key]);
    assert_let_in(&app, &token).await;
}

#[tokio::test]
async fn keys_for_other_purposes_are_not_used() {
    let mut encryption = SigningKey::ec("e");
    encryption.public["use"] = json!("enc");
    let mut other = SigningKey::rsa("r");
    other.public["alg"] = json!("RS512");
    let mut symmetric = SigningKey::ec("s");
    symmetric.public = json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0" });
    let used = SigningKey::ed("d");
    let issuer = Issuer::publishing(&[&encryption, &other, &symmetric, &used]).await;
    let app = start(&issuer, |_| ()).await;
    for key in [&encryption, &other] {
        assert_refused(&app, &key.sign(&good(&app))).await;
    }
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("s".to_owned());
    let token = encode(&header, &good(&app), &EncodingKey::from_secret(b"secret")).unwrap();
    assert_refused(&app, &token).await;
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_forgotten() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = Issuer::publishing(&[&old]).await;
    let app = start(&issuer, |config| config.auth.jwks_refetch_s = 0).await;
    assert_let_in(&app, &old.sign(&good(&app))).await;
    issuer.publish(&[&new]);
    assert_let_in(&app, &old.sign(&good(&app))).await;
    assert_eq!(issuer.fetches(), 1, "the keys are still fresh");
    assert_let_in(&app, &new.sign(&good(&app))).await;
    assert_eq!(issuer.fetches(), 2);
    assert_refused(&app, &old.sign(&good(&app))).await;
}

#[tokio::test]
async fn old_keys_are_asked_for_again() {
    let (old, new) = (SigningKey::ec("k"), SigningKey::ec("k"));
    let issuer = Issuer::publishing(&[&old]).await;
    let app = start(&issuer, |config| {
        config.auth.jwks_refetch_s = 0;
        config.auth.jwks_cache_s = 0;
    })
    .await;
    assert_let_in(&app, &old.sign(&good(&app))).await;
    issuer.publish(&[&new]);
    assert_refused(&app, &old.sign(&good(&app))).await;
    assert_let_in(&app, &new.sign(&good(&app))).await;
}

#[tokio::test]
async fn made_up_key_ids_do_not_flood_the_issuer() {
    let (known, unknown) = (SigningKey::ec("known"), SigningKey::ec("unknown"));
    let issuer = Issuer::publishing(&[&known]).await;
    let app = start(&issuer, |_| ()).await;
    for _ in 0..10 {
        assert_refused(&app, &unknown.sign(&good(&app))).await;
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn keys_stay_in_use_while_the_issuer_is_down() {
    let (key, unknown) = (SigningKey::ed("d"), SigningKey::ed("unknown"));
    let issuer = Issuer::publishing(&[&key]).await;
    let app = start(&issuer, |config| {
        config.auth.jwks_refetch_s = 0;
        config.auth.jwks_cache_s = 0;
    })
    .await;
    assert_let_in(&app, &key.sign(&good(&app))).await;
    issuer.break_down();
    assert_let_in(&app, &key.sign(&good(&app))).await;
    assert_refused(&app, &unknown.sign(&good(&app))).await;
    assert!(issuer.fetches() > 1);
}

#[tokio::test]
async fn without_any_keys_the_service_is_unavailable_and_not_the_token_invalid() {
    let key = SigningKey::ed("d");
    let issuer = Issuer::publishing(&[&key]).await;
    let app = start(&issuer, |config| {
        config.auth.jwks_url = Some(format!("http://{NOWHERE}/keys").parse().unwrap());
    })
    .await;
    let answer = ask(&app, &key.sign(&good(&app))).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}
