//! How e-mails get to the server, and what becomes of those that do not.

use std::fs;

use devstack::Stage;
use domain::{Classify, ErrorClass};
use notify::{Mailer, NotifyError, Security, SmtpConfig};
use serde_json::json;

use crate::support::{Sample, Server};

async fn send(config: &SmtpConfig) -> Result<(), NotifyError> {
    let sample = Sample::new(json!({}), 1, 1);
    Mailer::new(config)?.send(&sample.completed()).await
}

/// The settings for a server that is encrypted, and whether its certificate is trusted.
fn encrypted(server: &Server, security: Security, trusted: bool) -> anyhow::Result<SmtpConfig> {
    let mut config = server.config();
    config.security = security;
    if security == Security::Tls {
        config.port = server.smtp.tls_port();
    }
    if trusted {
        let path = server.dir.path().join("ca.pem");
        fs::write(&path, server.smtp.certificate())?;
        config.ca_file = Some(path);
    }
    Ok(config)
}

#[tokio::test]
async fn encrypted_connections_work() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for security in [Security::Starttls, Security::Tls] {
        send(&encrypted(&server, security, true)?).await?;
    }
    assert_eq!(server.messages().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_gets_no_mail() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for security in [Security::Starttls, Security::Tls] {
        let error = send(&encrypted(&server, security, false)?)
            .await
            .unwrap_err();
        assert_eq!(error.class(), ErrorClass::TRANSIENT);
    }
    assert_eq!(server.messages().await?, []);
    Ok(())
}

#[tokio::test]
async fn a_login_is_used() -> anyhow::Result<()> {
    let server = Server::start().await?;
    server.smtp.require_login("exports", "correct");
    let mut config = encrypted(&server, Security::Starttls, true)?;

    let refused = send(&config).await.unwrap_err();
    config.username = Some("exports".to_owned());
    config.password = Some("wrong".to_owned().into());
    let wrong = send(&config).await.unwrap_err();
    // Mended, the same e-mails can be sent.
    for error in [refused, wrong] {
        assert_eq!(error.class(), ErrorClass::TRANSIENT, "{error:?}");
    }
    assert_eq!(server.messages().await?, []);

    config.password = Some("correct".to_owned().into());
    send(&config).await?;
    assert_eq!(server.messages().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_server_decides_whether_to_try_again() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for (reply, class) in [(451, ErrorClass::TRANSIENT), (550, ErrorClass::Permanent)] {
        for stage in [Stage::Recipient, Stage::Data] {
            server.smtp.faults().reject(stage, reply, 1);
            let error = send(&server.config()).await.unwrap_err();
            assert_eq!(error.class(), class, "{error:?}");
            assert!(!format!("{error:?}").contains("ada@"), "no address is told");
        }
    }
    assert_eq!(server.messages().await?, []);
    send(&server.config()).await?;
    assert_eq!(server.messages().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_down_is_tried_again() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let sample = Sample::new(json!({}), 1, 1);
    let mailer = server.mailer()?;
    mailer.send(&sample.completed()).await?;
    server.smtp.kill().await;
    let error = mailer.send(&sample.completed()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TRANSIENT);
    server.smtp.restart().await?;
    mailer.send(&sample.completed()).await?;
    Ok(())
}

#[tokio::test]
async fn an_e_mail_that_is_sent_twice_can_be_known_as_one() -> anyhow::Result<()> {
    let server = Server::start().await?;
    server.smtp.faults().hang_up_after_data(1);
    let error = send(&server.config()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TRANSIENT);
    send(&server.config()).await?;
    let ids: Vec<_> = server
        .messages()
        .await?
        .into_iter()
        .map(|mail| mail.message_id)
        .collect();
    assert_eq!(ids, ["00000000-0000-0000-0000-000000000007@example.com"; 2]);
    Ok(())
}

#[tokio::test]
async fn a_wrong_configuration_is_told() -> anyhow::Result<()> {
    type Change = fn(&mut SmtpConfig);
    let server = Server::start().await?;
    let broken: [(Change, &str); 4] = [
        (|config| config.from = "nobody".to_owned(), "from"),
        (
            |config| config.reply_to = Some("nobody".to_owned()),
            "reply_to",
        ),
        (
            |config| config.username = Some("exports".to_owned()),
            "username",
        ),
        (
            |config| {
                config.security = Security::Tls;
                config.ca_file = Some("/nowhere.pem".into());
            },
            "ca_file",
        ),
    ];
    for (change, key) in broken {
        let mut config = server.config();
        change(&mut config);
        let error = send(&config).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the configuration of SMTP is wrong: {key}")
        );
    }
    Ok(())
}

#[tokio::test]
async fn nothing_secret_is_in_debug_output() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut config = server.config();
    config.username = Some("exports".to_owned());
    config.password = Some("do-not-tell".to_owned().into());
    let mailer = Mailer::new(&config)?;
    assert!(!format!("{config:?} {mailer:?}").contains("do-not-tell"));
    Ok(())
}
