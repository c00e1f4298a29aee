//! The binary: its commands, its log, and how it stops.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use devstack::{Env, Service, Signal, export_environment, free_port};
use sqlx::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::app::minimal;
use crate::estimate::clickhouse;
use crate::tokens::{SECRET, claims, hs256};

const BINARY: &str = env!("CARGO_BIN_EXE_export-api");
const TABLES: &str = include_str!("../../../devstack/sql/otel.sql");
const PATIENCE: Duration = Duration::from_secs(20);

/// An `export-api` that is configured and does not run yet.
struct Setup {
    address: SocketAddr,
    environment: Vec<(String, String)>,
    postgres_url: String,
    dir: TempDir,
}

impl Setup {
    async fn new() -> Self {
        let env = Env::shared();
        let postgres_url = devstack::fresh_database(env).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let environment = export_environment(
            env,
            &[
                ("EXPORT__POSTGRES__URL", &postgres_url),
                ("EXPORT__HTTP__LISTEN", &address.to_string()),
                ("EXPORT__AUTH__HS256_SECRET", SECRET),
                // No tables are looked for, so that all of the preset counts.
                ("EXPORT__CLICKHOUSE__URL", "http://127.0.0.1:1"),
                ("EXPORT__LOG__FILTER", "trace"),
            ],
        );
        Self {
            address,
            environment,
            postgres_url,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, command: &str) -> Output {
        let mut process = Command::new(BINARY);
        process.arg(command).envs(self.environment.iter().cloned());
        process.output().unwrap()
    }

    async fn serve(&self) -> Service {
        let log = self.dir.path().join("log");
        let mut service = Service::spawn(Path::new(BINARY), &self.environment, &log).unwrap();
        let url = format!("http://{}/healthz", self.address);
        service.wait_until_ready(&url, PATIENCE).await.unwrap();
        service
    }

    /// Adds a user and returns its token.
    async fn token(&self) -> String {
        let (user, organization) = (Uuid::new_v4(), Uuid::new_v4());
        let mut connection = sqlx::PgConnection::connect(&self.postgres_url)
            .await
            .unwrap();
        sqlx::query(
            "WITH o AS (
                 INSERT INTO organizations (organization_id, name) VALUES ($2, 'Acme')
                 RETURNING organization_id
             )
             INSERT INTO users (user_id, organization_id, email)
             SELECT $1, organization_id, 'a@b.c' FROM o",
        )
        .bind(user)
        .bind(organization)
        .execute(&mut connection)
        .await
        .unwrap();
        hs256(&claims(user, organization))
    }
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_after_sigterm_and_the_log_keeps_secrets() {
    let setup = Setup::new().await;
    // Of a table that is not there nothing could be requested.
    let (logs, _) = TABLES.split_once(";\n").unwrap();
    clickhouse(logs).await;
    assert!(setup.run("migrate").status.success());
    assert!(
        setup.run("migrate").status.success(),
        "a second time changes nothing"
    );
    assert!(
        !setup.run("healthcheck").status.success(),
        "nothing runs yet"
    );
    let service = setup.serve().await;
    assert!(setup.run("healthcheck").status.success());

    let token = setup.token().await;
    let mut body = minimal();
    body["filters"] = serde_json::json!({ "body": "a-very-private-value" });
    let body = body.to_string();
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    let head = format!(
        "POST /api/v1/export?q=private-query HTTP/1.1\r\nHost: x\r\nX-Request-Id: the-last-one\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    service.signal(Signal::Terminate).unwrap();
    let refused = async {
        while TcpStream::connect(setup.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("new connections are refused");

    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");

    let log = service.log().to_owned();
    let mut service = service;
    assert!(service.wait(PATIENCE).await.unwrap().success());
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("the-last-one"), "{log}");
    for secret in [
        token.as_str(),
        SECRET,
        "a-very-private-value",
        "private-query",
    ] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_told_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[http]\nlisten = 8080\ncolour = \"red\"\n").unwrap();
    let output = Command::new(BINARY)
        .arg("--config")
        .arg(file.path())
        .env("EXPORT__HTTP__MAX_CONNECTIONS", "many")
        .env("EXPORT__LIMITS__MAX_ROWS", "1")
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    for key in ["http.listen", "http.colour", "MAX_CONNECTIONS", "MAX_ROWS"] {
        assert!(text.contains(key), "{key} is missing: {text}");
    }
    assert!(
        text.starts_with("error: the configuration is wrong:\n"),
        "{text}"
    );
    assert!(!text.contains("backtrace"), "{text}");
}

#[tokio::test]
async fn migrate_needs_to_know_of_postgres_only() {
    let postgres_url = devstack::fresh_database(Env::shared()).await.unwrap();
    let migrate = |url: &str| {
        let mut command = Command::new(BINARY);
        command
            .arg("migrate")
            .env("EXPORT__POSTGRES__URL", url)
            .env("RUST_BACKTRACE", "1");
        command.output().unwrap()
    };
    assert!(migrate(&postgres_url).status.success());

    let output = migrate("postgres://nobody@127.0.0.1:1/nothing");
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("error: a Postgres statement failed: "),
        "{text}"
    );
    assert!(!text.contains("backtrace"), "{text}");
}
