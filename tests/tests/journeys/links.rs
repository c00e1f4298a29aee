//! A link of the service's own, from the e-mail to the file, until it is revoked.

use anyhow::{Context, Result};
use devstack::free_port;
use e2e::{ADMIN, World};
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn the_link_in_the_mail_leads_to_the_file_until_it_is_revoked() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let port = free_port()?;
    let base = format!("http://127.0.0.1:{port}");
    let public_url = ("EXPORT__HTTP__PUBLIC_URL", &*base);
    let by_scope = ("EXPORT__AUTH__PERMISSIONS_CLAIMS", r#"["scope"]"#);
    let api = world.api_at(port, &[public_url, by_scope]).await?;
    let _worker = world.worker(&[public_url]).await?;
    let body = json!({"options": {"notify": {"link": "service"}}});
    let id = api.accepted(&body).await?;
    let mut job = api.completed(&id).await?;
    let mails = world.mails(1).await?;
    let link = mails[0]
        .text
        .split_whitespace()
        .find_map(|word| word.strip_prefix(&base))
        .context("a link to the service")?;
    assert!(mails[0].html.contains(link));
    let until = job["expires_at"].as_str().context("an end")?;
    let until = until.get(..16).context("a minute")?.replace('T', " ");
    assert!(
        mails[0].text.contains(&until),
        "it lives as long as the file"
    );

    let request = api.anonymous(Method::GET, link);
    let answer = request.header("user-agent", "a browser").send().await?;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    let by_mail = api.fetch(answer.headers()[LOCATION].to_str()?).await?;
    let url = job["download_url"].as_str().context("a link")?;
    job["download_url"] = url.replace(&base, "").into();
    let by_api = api.download(&job).await?;
    assert_eq!(by_mail.bytes, by_api.bytes);
    assert_eq!(by_mail.disposition, by_api.disposition);

    let revoke = format!("/api/v1/export/{id}/links");
    let revoked = api.send(Method::DELETE, &revoke, None).await?;
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    let answer = api.anonymous(Method::GET, link).send().await?;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(answer.text().await?.contains("This link leads nowhere"));
    api.download(&job).await?;

    let admin = world.colleague(ADMIN).await?;
    let told = api.audit(&admin, &id).await?;
    let kinds: Vec<_> = told.iter().map(|event| &event["kind"]).collect();
    assert_eq!(
        kinds,
        [
            "requested",
            "started",
            "completed",
            "link_followed",
            "downloaded",
            "links_revoked",
            "downloaded"
        ]
    );
    assert_eq!(told[3]["user_id"], Value::Null);
    assert_eq!(told[3]["ip"], "127.0.0.1");
    assert_eq!(told[3]["user_agent"], "a browser");
    Ok(())
}
