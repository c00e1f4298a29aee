//! Members see their own exports, admins those of the organization.

use anyhow::Result;
use e2e::{ADMIN, MEMBER, World};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const BY_SCOPE: (&str, &str) = ("EXPORT__AUTH__PERMISSIONS_CLAIM", "scope");

#[tokio::test]
async fn an_admin_sees_what_a_member_exports_and_a_colleague_does_not() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 10).await?;
    let api = world.api(&[BY_SCOPE]).await?;
    let _worker = world.worker(&[]).await?;
    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    let path = format!("/api/v1/export/{}", job["job_id"].as_str().unwrap_or_default());
    let list = "/api/v1/export?scope=organization";

    let colleague = world.colleague(MEMBER).await?;
    for path in [path.clone(), format!("{path}/download"), format!("{path}/manifest")] {
        let answer = api.get_as(&colleague, &path).await?;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let refused = api.get_as(&colleague, list).await?;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);

    let admin = world.colleague(ADMIN).await?;
    assert_eq!(api.get_as(&admin, &path).await?.json::<Value>().await?, job);
    let page: Value = api.get_as(&admin, list).await?.json().await?;
    assert_eq!(page["exports"], json!([job]));
    let deleted = api.send_as(&admin, Method::DELETE, &path, None).await?;
    assert_eq!(deleted.json::<Value>().await?["status"], "EXPIRED");
    let id = job["job_id"].as_str().unwrap_or_default();
    assert_eq!(api.job(id).await?["status"], "EXPIRED", "for its owner too");
    Ok(())
}
