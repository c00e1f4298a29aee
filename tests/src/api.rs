//! The API as a dashboard uses it.

use anyhow::{Context, Result, bail, ensure};
use devstack::{Env, Service, TOKEN_AUDIENCE, TOKEN_ISSUER};
use domain::{Clock, SystemClock};
use jsonwebtoken::{EncodingKey, Header};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::eventually;
use crate::world::Tenant;

/// A running `export-api`, and a user who is logged in.
#[derive(Debug)]
pub struct Api {
    /// The process.
    pub service: Service,
    url: String,
    http: Client,
    secret: String,
    token: String,
}

/// A job as the API shows it.
pub type Job = Value;

/// A downloaded file.
#[derive(Debug)]
pub struct Download {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub content_type: String,
    /// How a browser is told to save it.
    pub disposition: String,
}

impl Api {
    pub(crate) fn new(service: Service, url: String, env: &Env, tenant: &Tenant) -> Result<Self> {
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            // A journey may compute for so long that the API hangs up on an idle connection.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self {
            service,
            url,
            http,
            token: token(&env.jwt_secret, tenant)?,
            secret: env.jwt_secret.clone(),
        })
    }

    /// Makes our user come with another token.
    pub fn log_in(&mut self, token: String) {
        self.token = token;
    }

    /// Sends a request as our user.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response> {
        self.send_with(&self.token, method, path, body).await
    }

    /// Sends a request as the user of a tenant.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn send_as(
        &self,
        tenant: &Tenant,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response> {
        let token = token(&self.secret, tenant)?;
        self.send_with(&token, method, path, body).await
    }

    /// Gets a path as the user of another tenant.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn get_as(&self, tenant: &Tenant, path: &str) -> Result<Response> {
        self.send_as(tenant, Method::GET, path, None).await
    }

    /// Prepares a request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Prepares a request of our user.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.token)
    }

    async fn send_with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response> {
        let mut request = self.anonymous(method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(request.send().await?)
    }

    /// Gets a path and returns the status and the JSON.
    ///
    /// # Errors
    ///
    /// When the answer is no JSON.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        let answer = self.send(Method::GET, path, None).await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// Asks for an export and returns the status and the answer. `body` has what is not as in
    /// [`whole_request`].
    ///
    /// # Errors
    ///
    /// When the answer is no JSON.
    pub async fn post(&self, body: &Value) -> Result<(StatusCode, Value)> {
        self.post_with(&self.token, body).await
    }

    async fn post_with(&self, token: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let body = whole_request(body)?;
        let path = "/api/v1/export";
        let answer = self.send_with(token, Method::POST, path, Some(&body));
        let answer = answer.await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// Asks for an export that must be accepted, and returns its id.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub async fn accepted(&self, body: &Value) -> Result<String> {
        accepted(self.post(body).await?)
    }

    /// Does the same as the user of a tenant.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub async fn accepted_as(&self, tenant: &Tenant, body: &Value) -> Result<String> {
        let token = token(&self.secret, tenant)?;
        accepted(self.post_with(&token, body).await?)
    }

    /// Returns a job.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn job(&self, id: &str) -> Result<Job> {
        let (status, job) = self.get(&format!("/api/v1/export/{id}")).await?;
        ensure!(status == StatusCode::OK, "{status}: {job}");
        Ok(job)
    }

    /// Returns the audit trail of a job as an admin reads it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn audit(&self, admin: &Tenant, id: &str) -> Result<Vec<Value>> {
        let path = format!("/api/v1/export/{id}/audit?limit=100");
        let mut trail: Value = self.get_as(admin, &path).await?.json().await?;
        match trail["events"].take() {
            Value::Array(events) => Ok(events),
            _ => bail!("{trail}"),
        }
    }

    /// Cancels a job, or deletes its file, and returns the job as it is then.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn delete(&self, id: &str) -> Result<Job> {
        let path = format!("/api/v1/export/{id}");
        let answer = self.send(Method::DELETE, &path, None).await?;
        let (status, job) = (answer.status(), answer.json().await?);
        ensure!(status == StatusCode::OK, "{status}: {job}");
        Ok(job)
    }

    /// Waits until a job has ended, and watches that its progress never goes back.
    ///
    /// # Errors
    ///
    /// When it does not end, or its progress goes back.
    pub async fn ended(&self, id: &str) -> Result<Job> {
        let mut last = 0;
        eventually("the end of the job", async || {
            let job = self.job(id).await?;
            let progress = job["progress"].as_u64().context("a number")?;
            ensure!(
                (last..=100).contains(&progress),
                "from {last} to {progress}"
            );
            last = progress;
            let live =
                ["PENDING", "PROCESSING"].contains(&job["status"].as_str().unwrap_or_default());
            Ok((!live).then_some(job))
        })
        .await
    }

    /// Waits until a job is completed.
    ///
    /// # Errors
    ///
    /// When it ends otherwise.
    pub async fn completed(&self, id: &str) -> Result<Job> {
        let job = self.ended(id).await?;
        ensure!(
            job["status"] == "COMPLETED" && job["progress"] == 100,
            "{job}"
        );
        Ok(job)
    }

    /// Waits until a job has failed.
    ///
    /// # Errors
    ///
    /// When it ends otherwise.
    pub async fn failed(&self, id: &str) -> Result<Job> {
        let job = self.ended(id).await?;
        ensure!(job["status"] == "FAILED", "{job}");
        Ok(job)
    }

    /// Downloads the file of a completed job, and checks size and checksum against the job.
    ///
    /// # Errors
    ///
    /// When anything does not fit.
    pub async fn download(&self, job: &Job) -> Result<Download> {
        let path = job["download_url"].as_str().context("a link")?;
        self.download_from(path, &job["file"]).await
    }

    /// Returns what the manifest of a completed job says.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn manifest(&self, job: &Job) -> Result<Value> {
        let path = job["manifest_url"].as_str().context("a link")?;
        let (status, manifest) = self.get(path).await?;
        ensure!(status == StatusCode::OK, "{status}: {manifest}");
        Ok(manifest)
    }

    /// Downloads all files of a completed job, and checks them against its manifest and that against the job.
    ///
    /// # Errors
    ///
    /// When anything does not fit.
    pub async fn download_all(&self, job: &Job) -> Result<Vec<Download>> {
        let manifest = self.manifest(job).await?;
        let described = manifest["files"].as_array().context("files")?;
        let sum = |name| {
            let numbers = described.iter().map(|file| file[name].as_u64());
            numbers.sum::<Option<u64>>().context("numbers")
        };
        let totals = json!({
            "count": described.len(), "rows": sum("rows")?, "size_bytes": sum("size_bytes")?,
        });
        ensure!(job["files"] == totals, "{totals} {job}");
        let mut files = Vec::new();
        for (number, file) in (1..).zip(described) {
            ensure!(file["number"] == number, "{file}");
            let path = file["download_url"].as_str().context("a link")?;
            files.push(self.download_from(path, file).await?);
        }
        Ok(files)
    }

    async fn download_from(&self, path: &str, described: &Value) -> Result<Download> {
        let answer = self.send(Method::GET, path, None).await?;
        ensure!(answer.status() == StatusCode::FOUND, "{}", answer.status());
        let location = answer.headers()[LOCATION].to_str()?.to_owned();
        let file = self.fetch(&location).await?;
        ensure!(described["size_bytes"] == file.bytes.len(), "{described}");
        ensure!(
            described["sha256"] == hex::encode(Sha256::digest(&file.bytes)),
            "{described}"
        );
        let name = described["name"].as_str().context("a name")?;
        ensure!(file.disposition.contains(name), "{}", file.disposition);
        Ok(file)
    }

    /// Follows a signed link, without any token.
    ///
    /// # Errors
    ///
    /// When the storage refuses it.
    pub async fn fetch(&self, signed: &str) -> Result<Download> {
        let answer = self.http.get(signed).send().await?;
        if !answer.status().is_success() {
            bail!("{}: {}", answer.status(), answer.text().await?);
        }
        ensure!(
            answer.headers().get(CONTENT_ENCODING).is_none(),
            "a browser would unpack it"
        );
        let header = |name| Ok::<_, anyhow::Error>(answer.headers()[name].to_str()?.to_owned());
        Ok(Download {
            content_type: header(CONTENT_TYPE)?,
            disposition: header(CONTENT_DISPOSITION)?,
            bytes: answer.bytes().await?.into(),
        })
    }
}

/// Returns a request for an export of 2026-01-01, with `body` over it.
///
/// # Errors
///
/// When `body` is no object.
pub fn whole_request(body: &Value) -> Result<Value> {
    let mut whole = json!({
        "data_type": "logs",
        "format": "csv",
        "start_time": "2026-01-01T00:00:00Z",
        "end_time": "2026-01-02T00:00:00Z",
    });
    for (name, value) in body.as_object().context("an object")? {
        whole[name] = value.clone();
    }
    Ok(whole)
}

fn accepted((status, answer): (StatusCode, Value)) -> Result<String> {
    ensure!(status == StatusCode::ACCEPTED, "{status}: {answer}");
    ensure!(answer["status"] == "PENDING", "{answer}");
    Ok(answer["job_id"].as_str().context("an id")?.to_owned())
}

/// Makes a token of a tenant's user that holds for an hour.
///
/// # Errors
///
/// When it cannot be signed.
pub fn token(secret: &str, tenant: &Tenant) -> Result<String> {
    let claims = json!({
        "sub": tenant.user,
        "organizationId": tenant.organization,
        "iss": TOKEN_ISSUER,
        "aud": TOKEN_AUDIENCE,
        "scope": tenant.scope,
        "exp": SystemClock.now().timestamp() + 3600,
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
}
