//! Key sets and tokens that libraries of others have written, in the shape of the issuers that use
//! them. `foreign/make.py` and `foreign/make.mjs` write the files.

use std::collections::BTreeMap;

use api::Permission;
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use uuid::{Uuid, uuid};

use crate::app::{Answer, Builder, TestApp, minimal};
use crate::issuer::Issuer;

const USER: Uuid = uuid!("5b1f2a0e-7d0c-4a57-9d0e-0f6c1b0e9a01");
const ORGANIZATION: Uuid = uuid!("c0ffee00-1f2e-4d3c-8b4a-5a6978879601");

/// What a library has written.
#[derive(Deserialize)]
struct Made {
    /// The key set, or nothing where there is a secret.
    jwks: Option<Value>,
    secret: Option<String>,
    tokens: BTreeMap<String, String>,
}

impl Made {
    fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap()
    }

    /// Lets the service trust the issuer of these tokens.
    async fn trusted_by(&self, mut builder: Builder) -> Builder {
        let issuer = Issuer::publishing(&[]).await;
        let auth = &mut builder.config.auth;
        auth.hs256_secret = self.secret.clone().map(SecretString::from);
        if let Some(set) = &self.jwks {
            issuer.publish_set(set.clone());
            auth.jwks_url = Some(issuer.url.clone());
        }
        builder
    }

    async fn list(&self, app: &TestApp, name: &str) -> Answer {
        let request = app.anonymous(Method::GET, "/api/v1/export");
        Answer::to(request.bearer_auth(&self.tokens[name])).await
    }

    async fn create(&self, app: &TestApp, name: &str) -> Answer {
        let request = app.anonymous(Method::POST, "/api/v1/export");
        let request = request.bearer_auth(&self.tokens[name]);
        Answer::to(request.json(&minimal())).await
    }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn tokens_of_keycloak_are_accepted() {
    let made = Made::read(include_str!("foreign/keycloak.json"));
    let builder = made.trusted_by(TestApp::builder().await).await;
    let app = builder
        .with(|config| {
            config.auth.issuer = Some("https://sso.acme.example/realms/acme".to_owned());
            config.auth.permissions_claims = names(&["realm_access.roles"]);
            config.auth.roles = [("analyst".to_owned(), vec![Permission::Read])].into();
        })
        .start()
        .await;
    assert_eq!(made.tokens.len(), 4);
    for name in made.tokens.keys() {
        let listed = made.list(&app, name).await;
        assert_eq!(listed.status, StatusCode::OK, "{name}: {}", listed.body);
        let created = made.create(&app, name).await;
        created.assert_problem(403, "permission_missing");
    }
}

#[tokio::test]
async fn tokens_of_auth0_are_accepted() {
    let made = Made::read(include_str!("foreign/auth0.json"));
    let builder = made.trusted_by(TestApp::builder().await).await;
    let app = builder
        .with(|config| {
            let auth = &mut config.auth;
            auth.issuer = Some("https://acme.eu.auth0.example/".to_owned());
            auth.user_claim = "https://acme.example/user_id".to_owned();
            auth.organization_claim = "https://acme.example/organization_id".to_owned();
            auth.permissions_claims = names(&["permissions", "https://acme.example/roles"]);
            auth.roles = [("analyst".to_owned(), vec![Permission::Create])].into();
        })
        .start()
        .await;
    app.add_user(USER, ORGANIZATION).await;
    let created = made.create(&app, "RS256").await;
    assert_eq!(created.status, StatusCode::ACCEPTED, "{}", created.body);
    let listed = made.list(&app, "RS256").await;
    assert_eq!(listed.body["exports"][0], created.body);
}

#[tokio::test]
async fn keys_that_share_an_id_are_told_apart() {
    let made = Made::read(include_str!("foreign/rotation.json"));
    let issuer = "https://issuer.example";
    let builder = made.trusted_by(TestApp::builder().await).await;
    let app = builder
        .with(|config| {
            config.auth.issuer = Some(issuer.to_owned());
        })
        .start()
        .await;
    assert_eq!(made.tokens.len(), 8);
    for name in made.tokens.keys() {
        let listed = made.list(&app, name).await;
        assert_eq!(listed.status, StatusCode::OK, "{name}: {}", listed.body);
    }
}

#[tokio::test]
async fn tokens_of_the_platform_are_accepted_with_its_configuration() {
    let made = Made::read(include_str!("foreign/telemetryflow.json"));
    let file = include_str!("../../../../config/telemetryflow.toml");
    let builder = TestApp::builder_over(file).await;
    assert_eq!(builder.config.datasets.preset, "telemetryflow");
    let app = made.trusted_by(builder).await.start().await;
    app.add_user(USER, ORGANIZATION).await;
    let organization = "/api/v1/export?scope=organization";
    let all = async |name: &str| {
        let request = app.anonymous(Method::GET, organization);
        Answer::to(request.bearer_auth(&made.tokens[name])).await
    };

    assert_eq!(made.list(&app, "reader").await.status, StatusCode::OK);
    let created = made.create(&app, "reader").await;
    created.assert_problem(403, "permission_missing");

    let created = made.create(&app, "manager").await;
    assert_eq!(created.status, StatusCode::ACCEPTED, "{}", created.body);
    let listed = made.list(&app, "manager").await;
    assert_eq!(listed.body["exports"][0], created.body);
    all("manager")
        .await
        .assert_problem(403, "permission_missing");

    let listed = all("administrator").await;
    assert_eq!(
        listed.body["exports"][0], created.body,
        "its role permits it"
    );

    let listed = made.list(&app, "stranger").await;
    listed.assert_problem(403, "permission_missing");
    let refused = made.list(&app, "without organization").await;
    refused.assert_problem(403, "organization_missing");
}

#[tokio::test]
async fn tokens_of_the_platform_are_refused_by_the_defaults() {
    let made = Made::read(include_str!("foreign/telemetryflow.json"));
    let app = made
        .trusted_by(TestApp::builder().await)
        .await
        .start()
        .await;
    let refused = made.list(&app, "administrator").await;
    refused.assert_problem(401, "token_invalid");
}
