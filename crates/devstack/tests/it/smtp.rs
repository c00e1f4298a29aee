//! The mail server: what comes in, encryption, logins and faults.

use std::time::Duration;

use anyhow::Result;
use devstack::{Env, Mailbox, Smtp, Stage};
use lettre::message::{Mailbox as Address, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use uuid::Uuid;

use crate::support::http;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

fn message(id: &str) -> Result<Message> {
    let from: Address = "Exports <exports@example.com>".parse()?;
    Ok(Message::builder()
        .from(from)
        .to("Zoë <zoe@example.com>".parse()?)
        .bcc("hidden@example.com".parse()?)
        .subject("Ihr Export ist da – 1 000 Zeilen ✓")
        .message_id(Some(format!("<{id}>")))
        .multipart(MultiPart::alternative_plain_html(
            "line\n.dot\n..two\n".to_owned(),
            "<p>ünïcødé &amp; <b>bold</b></p>".to_owned(),
        ))?)
}

fn plain(port: u16) -> Transport {
    Transport::builder_dangerous("127.0.0.1").port(port).build()
}

fn encrypted(
    smtp: &Smtp,
    port: u16,
    tls: fn(TlsParameters) -> Tls,
) -> Result<lettre::transport::smtp::AsyncSmtpTransportBuilder> {
    let certificate = Certificate::from_pem(smtp.certificate().as_bytes())?;
    let parameters =
        TlsParameters::builder("localhost".to_owned()).add_root_certificate(certificate);
    Ok(Transport::builder_dangerous("127.0.0.1")
        .port(port)
        .tls(tls(parameters.build()?)))
}

#[tokio::test]
async fn a_message_is_kept_as_it_was_meant() -> Result<()> {
    let env = Env::shared();
    let id = format!("{}@example.com", Uuid::new_v4());
    plain(env.smtp.port).send(message(&id)?).await?;
    let mailbox = Mailbox::new(&env.mailbox_url);
    let mail = mailbox
        .wait_for(Duration::from_secs(5), |mail| mail.message_id == id)
        .await?;
    assert_eq!(mail.from, "exports@example.com");
    assert_eq!(mail.to, ["zoe@example.com", "hidden@example.com"]);
    assert_eq!(mail.subject, "Ihr Export ist da – 1 000 Zeilen ✓");
    assert_eq!(mail.text.replace("\r\n", "\n"), "line\n.dot\n..two\n");
    assert_eq!(mail.html.trim(), "<p>ünïcødé &amp; <b>bold</b></p>");
    assert!(
        mail.raw.contains(&format!("\r\nMessage-ID: <{id}>\r\n")),
        "{}",
        mail.raw
    );
    assert!(!mail.raw.contains("hidden@example.com"));
    Ok(())
}

#[tokio::test]
async fn connections_can_be_encrypted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let smtp = Smtp::start(dir.path()).await?;
    encrypted(&smtp, smtp.port(), Tls::Required)?
        .build::<Tokio1Executor>()
        .send(message("starttls@a")?)
        .await?;
    encrypted(&smtp, smtp.tls_port(), Tls::Wrapper)?
        .build::<Tokio1Executor>()
        .send(message("wrapped@a")?)
        .await?;
    let mailbox = Mailbox::new(smtp.mailbox_url());
    let ids: Vec<_> = mailbox
        .messages()
        .await?
        .into_iter()
        .map(|mail| mail.message_id)
        .collect();
    assert_eq!(ids, ["starttls@a", "wrapped@a"]);
    let to = mailbox.messages().await?.swap_remove(0).to.swap_remove(0);
    assert_eq!(mailbox.messages_to(&to).await?.len(), 2);
    assert!(mailbox.messages_to("nobody@a.test").await?.is_empty());

    let html = http()?
        .get(format!("{}/messages/1/html", smtp.mailbox_url()))
        .send()
        .await?;
    assert!(
        html.headers()["content-type"]
            .to_str()?
            .starts_with("text/html")
    );
    assert!(html.text().await?.contains("<b>bold</b>"));
    assert!(dir.path().join("smtp/0001.eml").is_file());
    mailbox.clear().await?;
    assert!(mailbox.messages().await?.is_empty());

    // A client that trusts nobody sends nothing.
    let parameters = TlsParameters::new("localhost".to_owned())?;
    let distrustful = Transport::builder_dangerous("127.0.0.1")
        .port(smtp.port())
        .tls(Tls::Required(parameters));
    assert!(
        distrustful
            .build::<Tokio1Executor>()
            .send(message("x@a")?)
            .await
            .is_err()
    );
    smtp.stop().await
}

#[tokio::test]
async fn a_login_can_be_required() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let smtp = Smtp::start(dir.path()).await?;
    smtp.require_login("exports", "pass word");
    let error = plain(smtp.port()).send(message("a@a")?).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    for (password, accepted) in [("wrong", false), ("pass word", true)] {
        let login = Credentials::new("exports".to_owned(), password.to_owned());
        let transport = encrypted(&smtp, smtp.port(), Tls::Required)?.credentials(login);
        let sent = transport
            .build::<Tokio1Executor>()
            .send(message("b@a")?)
            .await;
        assert_eq!(sent.is_ok(), accepted, "{sent:?}");
    }
    smtp.stop().await
}

#[tokio::test]
async fn faults_strike_as_often_as_they_are_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let smtp = Smtp::start(dir.path()).await?;
    let mailbox = Mailbox::new(smtp.mailbox_url());
    let send = async |id: &str| anyhow::Ok(plain(smtp.port()).send(message(id)?).await);

    smtp.faults().reject(Stage::Recipient, 451, 1);
    assert!(send("a@a").await?.unwrap_err().is_transient());
    smtp.faults().reject(Stage::Data, 550, 1);
    assert!(send("a@a").await?.unwrap_err().is_permanent());
    assert!(mailbox.messages().await?.is_empty());
    send("a@a").await??;

    smtp.faults().hang_up_after_data(1);
    assert!(send("b@a").await?.is_err());
    send("b@a").await??;
    let ids: Vec<_> = mailbox
        .messages()
        .await?
        .into_iter()
        .map(|mail| mail.message_id)
        .collect();
    assert_eq!(ids, ["a@a", "b@a", "b@a"]);

    smtp.kill().await;
    assert!(send("c@a").await?.is_err());
    smtp.restart().await?;
    send("c@a").await??;
    assert_eq!(mailbox.messages().await?.len(), 4);
    smtp.stop().await
}
