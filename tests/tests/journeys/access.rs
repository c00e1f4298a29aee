//! Members see their own exports; admins those of the organization, and what was done with them.

use anyhow::Result;
use e2e::{ADMIN, MEMBER, World};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

pub(crate) const BY_SCOPE: (&str, &str) = ("EXPORT__AUTH__PERMISSIONS_CLAIMS", r#"["scope"]"#);

#[tokio::test]
async fn an_admin_sees_what_a_member_exports_and_a_colleague_does_not() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 10).await?;
    let api = world.api(&[BY_SCOPE]).await?;
    let _worker = world.worker(&[]).await?;
    let id = api.accepted(&json!({})).await?;
    let job = api.completed(&id).await?;
    let path = format!("/api/v1/export/{id}");
    let list = "/api/v1/export?scope=organization";

    let colleague = world.colleague(MEMBER).await?;
    for path in [
        path.clone(),
        format!("{path}/download"),
        format!("{path}/manifest"),
    ] {
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
    assert_eq!(
        api.job(&id).await?["status"],
        "EXPIRED",
        "for its owner too"
    );
    Ok(())
}

#[tokio::test]
async fn an_admin_reads_who_did_what_from_where() -> Result<()> {
    let world = World::new().await?;
    let proxies = ("EXPORT__HTTP__TRUSTED_PROXIES", r#"["127.0.0.0/8"]"#);
    let api = world.api(&[BY_SCOPE, proxies]).await?;
    let _worker = world.worker(&[]).await?;
    let id = api.accepted(&json!({})).await?;
    api.completed(&id).await?;
    let path = format!("/api/v1/export/{id}");
    for (method, path) in [
        (Method::GET, format!("{path}/download")),
        (Method::DELETE, path.clone()),
    ] {
        let request = api.request(method, &path);
        let request = request.header("x-forwarded-for", "6.6.6.6, 203.0.113.7");
        request.header("user-agent", "dashboard/1.0").send().await?;
    }

    let admin = world.colleague(ADMIN).await?;
    let told = api.audit(&admin, &id).await?;
    let us = json!(world.ours.user);
    let kinds: Vec<_> = told.iter().map(|event| &event["kind"]).collect();
    assert_eq!(
        kinds,
        ["requested", "started", "completed", "downloaded", "deleted"]
    );
    for event in &told[3..] {
        assert_eq!(event["user_id"], us);
        assert_eq!(event["ip"], "203.0.113.7");
        assert_eq!(event["user_agent"], "dashboard/1.0");
    }
    assert_eq!(told[0]["ip"], "127.0.0.1", "without a proxy");
    assert_eq!(told[1]["user_id"], Value::Null, "a worker");
    Ok(())
}
