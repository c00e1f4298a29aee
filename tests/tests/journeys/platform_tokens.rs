//! The service with `config/telemetryflow.toml`, and tokens as the platform makes them.

use anyhow::{Context, Result};
use domain::{Clock, SystemClock};
use e2e::{World, whole_request};
use jsonwebtoken::{EncodingKey, Header};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// The configuration of both binaries.
pub(crate) const CONFIG: (&str, &str) = (
    "EXPORT_CONFIG",
    concat!(env!("CARGO_MANIFEST_DIR"), "/../config/telemetryflow.toml"),
);

/// Makes a token of our user, with neither `iss` nor `aud`.
fn token(world: &World, organization: Option<Uuid>, permissions: &[&str]) -> Result<String> {
    token_with(
        world,
        &json!({ "organizationId": organization, "permissions": permissions }),
    )
}

/// The same, with some claims changed.
pub(crate) fn token_with(world: &World, changes: &Value) -> Result<String> {
    let now = SystemClock.now().timestamp();
    let mut claims = json!({
        "sub": world.ours.user,
        "email": world.ours.email,
        "roles": ["Developer"],
        "permissions": ["telemetry:read", "telemetry:manage"],
        "tenantId": null,
        "organizationId": world.ours.organization,
        "sessionId": Uuid::new_v4(),
        "iat": now,
        "exp": now + 15 * 60,
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_secret(world.env.jwt_secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
}

async fn answer(request: RequestBuilder) -> Result<(StatusCode, Value)> {
    let answer = request.send().await?;
    Ok((answer.status(), answer.json().await?))
}

#[tokio::test]
async fn a_user_of_the_platform_exports_with_the_platforms_own_token() -> Result<()> {
    let world = World::new().await?;
    world.seed("telemetryflow", &world.ours, 100).await?;
    let api = world.api(&[CONFIG]).await?;
    let _worker = world.worker(&[CONFIG]).await?;
    let path = "/api/v1/export";
    let request = whole_request(&json!({}))?;
    let ours = Some(world.ours.organization);

    let reader = token(&world, ours, &["dashboard:read", "telemetry:read"])?;
    let refused = api.anonymous(Method::POST, path).bearer_auth(&reader);
    let (status, problem) = answer(refused.json(&request)).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(problem["code"], "permission_missing");

    let nowhere = token(&world, None, &["telemetry:manage"])?;
    let refused = api.anonymous(Method::GET, path).bearer_auth(&nowhere);
    let (status, problem) = answer(refused).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(problem["code"], "organization_missing");

    let manager = token(&world, ours, &["telemetry:read", "telemetry:manage"])?;
    let accepted = api.anonymous(Method::POST, path).bearer_auth(&manager);
    let (status, job) = answer(accepted.json(&request)).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let path = format!("{path}/{}", job["job_id"].as_str().context("an id")?);
    let job = e2e::eventually("the end of the job", async || {
        let shown = api.anonymous(Method::GET, &path).bearer_auth(&reader);
        let (_, job) = answer(shown).await?;
        let live = ["PENDING", "PROCESSING"].contains(&job["status"].as_str().unwrap_or_default());
        Ok((!live).then_some(job))
    })
    .await?;
    assert_eq!(job["status"], "COMPLETED", "{job}");
    assert_eq!(job["file"]["rows"], 100, "{job}");
    Ok(())
}
