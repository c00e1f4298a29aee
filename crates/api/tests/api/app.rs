//! A running `export-api` with a database of its own, and a client that is logged in to it.

use std::net::SocketAddr;
use std::time::Duration;

use api::{App, Config};
use devstack::Env;
use domain::{ExportedFile, Failure, FileColumn, FileContents, JobId, WorkerId};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use runtime::shutdown::Shutdown;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sink::Sink;
use store::PgPool;
use store::jobs::{Claim, Claimed, Terms};
use store::quotas::RunningLimits;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::tokens::{self, SECRET};

/// An address where nothing listens.
pub(crate) const NOWHERE: &str = "127.0.0.1:1";

/// A running `export-api`. It stops when it is dropped.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) pool: PgPool,
    pub(crate) sink: Sink,
    pub(crate) user: Uuid,
    pub(crate) organization: Uuid,
    client: reqwest::Client,
    pub(crate) shutdown: Shutdown,
}

/// The configuration of a [`TestApp`] before it starts.
pub(crate) struct Builder {
    pub(crate) config: Config,
}

impl Builder {
    /// Changes the configuration.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts the service, with one user of one organization.
    pub(crate) async fn start(self) -> TestApp {
        let Self { config } = self;
        let shutdown = Shutdown::default();
        let app = App::new(&config, "export-api-test", &shutdown)
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tokens = shutdown.clone();
        let router = api::router(app, &config.http);
        tokio::spawn(async move { api::serve(listener, router, &config.http, &tokens).await });
        let mut app = TestApp {
            address,
            pool: store::connect(&config.postgres, "test").unwrap(),
            sink: Sink::new(&config.s3).await.unwrap(),
            user: Uuid::nil(),
            organization: Uuid::nil(),
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(Duration::from_secs(20))
                .build()
                .unwrap(),
            shutdown,
        };
        if !config.postgres.url.expose_secret().contains(NOWHERE) {
            store::migrate(&config.postgres).await.unwrap();
            (app.user, app.organization) = app.new_user().await;
        }
        app
    }
}

impl TestApp {
    /// Starts the service as its defaults have it.
    pub(crate) async fn start() -> Self {
        Self::builder().await.start().await
    }

    /// Prepares the default configuration on the shared services and a fresh database.
    pub(crate) async fn builder() -> Builder {
        Self::builder_over("").await
    }

    /// Prepares a configuration file in the same way. It names neither services nor secrets.
    pub(crate) async fn builder_over(file_text: &str) -> Builder {
        runtime::tls::init();
        let env = Env::shared();
        let postgres = devstack::fresh_database(env).await.unwrap();
        let bucket = devstack::fresh_bucket(env).await.unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let s3 = &env.s3;
        let text = format!(
            "{file_text}\n\
             [postgres]\nurl = {postgres:?}\n\
             [redis]\nurl = {redis:?}\nname = {queue:?}\n\
             [s3]\nendpoint = {endpoint:?}\nregion = {region:?}\nbucket = {bucket:?}\n\
             access_key_id = {key:?}\nsecret_access_key = {secret:?}\nforce_path_style = true\n\
             [clickhouse]\nurl = {clickhouse:?}\nuser = {user:?}\npassword = {password:?}\n",
            redis = env.redis_url,
            clickhouse = env.clickhouse_url,
            user = env.clickhouse_user,
            password = env.clickhouse_password,
            queue = format!("test-{}", Uuid::new_v4()),
            endpoint = s3.endpoint,
            region = s3.region,
            key = s3.access_key,
            secret = s3.secret_key,
        );
        std::fs::write(file.path(), text).unwrap();
        let mut config: Config = runtime::config::load(Some(file.path())).unwrap();
        config.auth.hs256_secret = Some(SecretString::from(SECRET));
        Builder { config }
    }

    /// Adds a user of a new organization.
    pub(crate) async fn new_user(&self) -> (Uuid, Uuid) {
        let (user, organization) = (Uuid::new_v4(), Uuid::new_v4());
        self.add_user(user, organization).await;
        (user, organization)
    }

    /// Adds a user of an organization.
    pub(crate) async fn new_user_of(&self, organization: Uuid) -> Uuid {
        let user = Uuid::new_v4();
        self.add_user(user, organization).await;
        user
    }

    /// Adds a user, and the organization where it is new.
    pub(crate) async fn add_user(&self, user: Uuid, organization: Uuid) {
        sqlx::query(
            "INSERT INTO organizations (organization_id, name) VALUES ($1, 'Acme') ON CONFLICT DO NOTHING",
        )
        .bind(organization)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO users (user_id, organization_id, email) VALUES ($1, $2, 'ada@acme.example')",
        )
        .bind(user)
        .bind(organization)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Returns a token of the user.
    pub(crate) fn token(&self) -> String {
        tokens::hs256(&tokens::claims(self.user, self.organization))
    }

    /// Prepares a request without a token.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    /// Prepares a request of the user.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.token())
    }

    /// Gets a path as the user.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    /// Posts a request for an export as the user.
    pub(crate) async fn post(&self, body: &Value) -> Answer {
        Answer::to(self.request(Method::POST, "/api/v1/export").json(body)).await
    }

    /// Makes a job of the user.
    pub(crate) async fn create(&self) -> JobId {
        self.create_of(&minimal()).await
    }

    /// Makes a job of the user from a body.
    pub(crate) async fn create_of(&self, body: &Value) -> JobId {
        let answer = self.post(body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.body["job_id"].as_str().unwrap().parse().unwrap()
    }

    /// Makes a job of the user that a worker has taken.
    pub(crate) async fn claimed(&self) -> Claim {
        let id = self.create().await;
        self.claim(id).await
    }

    /// Takes the only job that is due, which is this one, as a worker does.
    pub(crate) async fn claim(&self, id: JobId) -> Claim {
        let mut connection = store::acquire(&self.pool).await.unwrap();
        let owner = WorkerId::new("test", 1, 1);
        let terms = Terms {
            lease: Duration::from_mins(1),
            busy: false,
            alone_after: 1,
            running: &RunningLimits::NONE,
        };
        // The API may hold the row's lock for a moment after its answer, to note the wake-up.
        let claim = loop {
            let claimed = store::jobs::claim(&mut connection, &owner, &terms);
            if let Claimed::Job(claim) = claimed.await.unwrap() {
                break *claim;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(claim.job.id, id);
        claim
    }

    /// Makes a job of the user whose file is at `object_key`, for as long as `retention`.
    pub(crate) async fn completed(&self, object_key: &str, retention: Duration) -> JobId {
        let claim = self.claimed().await;
        let file = ExportedFile {
            object_key: object_key.to_owned(),
            size_bytes: 1234,
            rows: 56,
            sha256: "ab".repeat(32),
        };
        let mut connection = store::acquire(&self.pool).await.unwrap();
        let column = |name: &str, value_type: &str| FileColumn {
            name: name.to_owned(),
            value_type: value_type.to_owned(),
            nullable: false,
        };
        let contents = FileContents {
            columns: vec![column("timestamp", "timestamp"), column("body", "string")],
            service_version: "1.2.3".to_owned(),
        };
        store::contents::note(&mut connection, &claim, &contents)
            .await
            .unwrap();
        store::jobs::complete(&mut connection, &claim, &file.into(), "s3://b/k", retention)
            .await
            .unwrap();
        claim.job.id
    }

    /// Makes a job of the user that has failed.
    pub(crate) async fn failed(&self, failure: Failure) -> JobId {
        let claim = self.claimed().await;
        let mut connection = store::acquire(&self.pool).await.unwrap();
        store::jobs::fail(&mut connection, &claim, &failure, "a secret cause")
            .await
            .unwrap();
        claim.job.id
    }

    /// Makes a job of the user that was cancelled.
    pub(crate) async fn cancelled(&self) -> JobId {
        let id = self.create().await;
        let answer = self.delete(id).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        id
    }

    /// Deletes a job of the user.
    pub(crate) async fn delete(&self, id: JobId) -> Answer {
        Answer::to(self.request(Method::DELETE, &format!("/api/v1/export/{id}"))).await
    }

    /// Returns the kinds of a job's audit trail.
    pub(crate) async fn events(&self, id: JobId) -> Vec<store::events::Event> {
        let mut connection = store::acquire(&self.pool).await.unwrap();
        store::events::list(&mut connection, id, None, 100)
            .await
            .unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.soft.cancel();
        self.shutdown.hard.cancel();
    }
}

/// The smallest request.
pub(crate) fn minimal() -> Value {
    json!({
        "data_type": "logs", "format": "csv",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
    })
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Sends a request; a body that is not JSON is null.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await.unwrap());
        Self {
            status,
            headers,
            body: body.unwrap_or_default(),
        }
    }

    /// Returns a header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem with the given code and everything that a problem has.
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.body["code"], code, "{self:?}");
        assert_eq!(self.status.as_u16(), status);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        assert!(!self.header("x-request-id").is_empty());
    }
}
