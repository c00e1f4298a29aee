//! Bearer tokens that the API of the running stack accepts.

use std::time::Duration;

use anyhow::{Context as _, Result};
use devstack::{Env, TOKEN_AUDIENCE, TOKEN_ISSUER};
use domain::{Clock as _, SystemClock};
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use uuid::Uuid;

use crate::stack;

/// The arguments of `token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The organization whose rows the token may export.
    #[arg(long)]
    organization: Uuid,
    /// The user who asks, and who gets the e-mail.
    #[arg(long)]
    user: Uuid,
    /// How long the token is valid.
    #[arg(long, default_value_t = 12)]
    hours: u64,
}

/// Prints a token.
pub(crate) fn run(args: &Args) -> Result<()> {
    let env =
        Env::load(&stack::env_file()).context("nothing runs: start it with `cargo xtask up`")?;
    let lifetime = Duration::from_hours(args.hours);
    println!("{}", sign(&env, args.organization, args.user, lifetime)?);
    Ok(())
}

/// Makes a token with the secret of `env`.
///
/// # Errors
///
/// When it cannot be signed.
pub(crate) fn sign(
    env: &Env,
    organization: Uuid,
    user: Uuid,
    lifetime: Duration,
) -> Result<String> {
    let now = SystemClock.now();
    let claims = Claims {
        sub: user,
        organization_id: organization,
        iss: TOKEN_ISSUER,
        aud: TOKEN_AUDIENCE,
        scope: "export:admin",
        iat: now.timestamp(),
        exp: (now + lifetime).timestamp(),
    };
    let key = EncodingKey::from_secret(env.jwt_secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
}

#[derive(Serialize)]
struct Claims {
    sub: Uuid,
    #[serde(rename = "organizationId")]
    organization_id: Uuid,
    iss: &'static str,
    aud: &'static str,
    /// For an API that looks for permissions there: all of them.
    scope: &'static str,
    iat: i64,
    exp: i64,
}
