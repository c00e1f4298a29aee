//! An S3 server in this process, on the file system, that can be told to fail.

mod faults;
mod files;
mod operation;
mod part_file;
mod storage;
mod upload_lists;
mod uploads;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::S3Env;
use crate::data_dir::DataDir;
use crate::net::{Server, listen, listen_on};

use self::faults::{Fault, Moment};
use self::storage::Storage;

pub use self::faults::Faults;
pub use self::operation::Operation;

const ACCESS_KEY: &str = "devstack";
const REGION: &str = "us-east-1";
/// The most that a page of a list has.
const PAGE: i32 = 1_000;

/// An S3 server that checks signatures. Dropping it ends it and removes its data.
pub struct S3 {
    server: Mutex<Option<Server>>,
    address: SocketAddr,
    secret_key: String,
    data: DataDir,
    answers: Answers,
}

impl S3 {
    /// Starts a server without buckets.
    ///
    /// # Errors
    ///
    /// When its directory cannot be created or no port is free.
    pub async fn start(dir: &Path) -> Result<Self> {
        let data = DataDir::create(dir, "s3")?;
        let secret_key = Uuid::new_v4().simple().to_string();
        let files = FileSystem::new(data.path())
            .map_err(|error| anyhow!("cannot serve {}: {error:?}", data.path().display()))?;
        let mut service = S3ServiceBuilder::new(Storage::new(data.path(), files));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, secret_key.as_str()));
        let answers = Answers {
            service: service.build(),
            faults: Faults::default(),
            buckets: data.path().to_owned(),
        };
        let listener = listen().await?;
        let s3 = Self {
            server: Mutex::new(None),
            address: listener.local_addr()?,
            secret_key,
            data,
            answers,
        };
        s3.serve(listener)?;
        Ok(s3)
    }

    /// Returns the endpoint for path-style requests.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns endpoint and credentials, with `bucket` as the bucket to use.
    pub fn env(&self, bucket: &str) -> S3Env {
        S3Env {
            endpoint: self.endpoint(),
            region: REGION.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: self.secret_key.clone(),
            bucket: bucket.to_owned(),
        }
    }

    /// Creates a bucket.
    ///
    /// # Errors
    ///
    /// When it is there already.
    pub fn create_bucket(&self, name: &str) -> Result<()> {
        std::fs::create_dir(self.data.path().join(name))
            .with_context(|| format!("cannot create the bucket {name}"))
    }

    /// Returns what is to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.answers.faults
    }

    /// Hangs up on everybody and closes the port.
    pub async fn kill(&self) {
        let server = self.server().take();
        if let Some(server) = server {
            server.stop().await;
        }
    }

    /// Serves the same data on the same port again.
    ///
    /// # Errors
    ///
    /// When the port has been taken.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await;
        self.serve(listen_on(self.address).await?)
    }

    /// Stops the server and removes its data.
    ///
    /// # Errors
    ///
    /// When something stays behind.
    pub async fn stop(self) -> Result<()> {
        self.kill().await;
        self.data.remove()
    }

    fn serve(&self, listener: TcpListener) -> Result<()> {
        let answers = self.answers.clone();
        let server = Server::serve(listener, move |stream| answers.clone().converse(stream))?;
        *self.server() = Some(server);
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How requests are answered.
#[derive(Clone)]
struct Answers {
    service: S3Service,
    faults: Faults,
    buckets: PathBuf,
}

impl Answers {
    async fn converse(self, stream: TcpStream) {
        let answer = service_fn(move |request| self.clone().answer(request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "s3 connection ended");
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, HttpError> {
        let operation = Operation::of(&request);
        let fault = operation.and_then(|operation| self.faults.take(operation));
        if let Some(Fault::Refuse(Moment::Before, status)) = fault {
            // All of it is read, or the client would see a broken connection, not the answer.
            let _ = request.into_body().collect().await;
            return Ok(refusal(status));
        }
        if operation.is_some() && !self.has_bucket(request.uri()) {
            let _ = request.into_body().collect().await;
            return Ok(error(StatusCode::NOT_FOUND, "NoSuchBucket"));
        }
        let overrides = overrides(request.uri());
        let mut response = self.service.call(request.map(Body::from)).await?;
        if let Some(fault) = fault {
            // The end of the work may come with the end of the answer.
            let _ = response.into_body().collect().await;
            return match fault {
                Fault::Refuse(_, status) => Ok(refusal(status)),
                Fault::HangUp => Err(HttpError::new("as a test wants it".into())),
            };
        }
        if operation == Some(Operation::GetObject) && response.status().is_success() {
            response.headers_mut().extend(overrides);
        }
        Ok(response)
    }

    /// Tells whether the bucket of a path-style request exists, which `s3s-fs` does not ask.
    fn has_bucket(&self, uri: &Uri) -> bool {
        let bucket = uri.path().trim_start_matches('/').split('/').next();
        bucket.is_some_and(|bucket| self.buckets.join(bucket).is_dir())
    }
}

/// Reads the headers that a presigned GET asks for, which `s3s-fs` leaves to its caller.
fn overrides(uri: &Uri) -> Vec<(HeaderName, HeaderValue)> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter_map(|(name, value)| {
            let header = match &*name {
                "response-content-disposition" => CONTENT_DISPOSITION,
                "response-content-type" => CONTENT_TYPE,
                _ => return None,
            };
            Some((header, HeaderValue::from_str(&value).ok()?))
        })
        .collect()
}

/// Returns how many entries a page has, of those that are asked for.
fn page_size(asked: Option<i32>) -> i32 {
    asked.unwrap_or(PAGE).clamp(0, PAGE)
}

fn refusal(status: StatusCode) -> Response<Body> {
    let code = match status {
        StatusCode::FORBIDDEN => "AccessDenied",
        StatusCode::NOT_FOUND => "NoSuchKey",
        StatusCode::SERVICE_UNAVAILABLE => "SlowDown",
        _ => "InternalError",
    };
    error(status, code)
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>as a test wants it</Message></Error>"
    );
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
