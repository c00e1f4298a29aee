//! How often organizations may ask, over all processes.
//!
//! The generic cell rate algorithm: of an organization nothing is kept but the moment at which all its
//! requests are there again. Each request moves it away by the time in which one comes back.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::OrganizationId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// So many requests a minute, and as many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(NonZeroU32);

impl Rate {
    /// The time in which all requests come back.
    pub const WINDOW: Duration = Duration::from_mins(1);

    /// Makes a rate of a number of requests a minute; 0 makes none.
    pub fn per_minute(requests: u32) -> Option<Self> {
        NonZeroU32::new(requests).map(Self)
    }

    /// Returns how many requests there are a minute.
    pub fn requests(self) -> u32 {
        self.0.get()
    }

    /// Returns the time in which one request comes back: whole microseconds, as Postgres counts, and
    /// so rounded that there are no fewer requests than were asked for.
    pub fn interval(self) -> Duration {
        let micros = Self::WINDOW.as_micros() / u128::from(self.0.get());
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).max(1))
    }
}

/// What has become of a request, and of those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the request was one too many.
    pub refused: bool,
    /// In which time all requests are there again.
    pub full_in: Duration,
}

/// Takes a request of an organization, where there is one left.
///
/// # Errors
///
/// When Postgres fails.
pub async fn take(
    conn: &mut PgConnection,
    organization: OrganizationId,
    rate: Rate,
) -> Result<Standing, StoreError> {
    let standing = sqlx::query!(
        r#"WITH taken AS (
               INSERT INTO export_rates AS rate (organization_id, full_at)
               VALUES ($1, now() + make_interval(secs => $2))
               ON CONFLICT (organization_id) DO UPDATE
               SET full_at = GREATEST(rate.full_at, now()) + make_interval(secs => $2)
               WHERE GREATEST(rate.full_at, now()) + make_interval(secs => $2)
                     <= now() + make_interval(secs => $3)
               RETURNING full_at
           )
           SELECT false AS "refused!", extract(epoch FROM full_at - now())::float8 AS "full_in_s!"
           FROM taken
           UNION ALL
           SELECT true, extract(epoch FROM full_at - now())::float8
           FROM export_rates
           WHERE organization_id = $1 AND NOT EXISTS (SELECT FROM taken)"#,
        organization.as_uuid(),
        rate.interval().as_secs_f64(),
        Rate::WINDOW.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    let full_in = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Ok(match standing {
        Some(standing) => Standing {
            refused: standing.refused,
            full_in: full_in(standing.full_in_s),
        },
        // The first requests of all came at the same moment, more of them than there are.
        None => Standing {
            refused: true,
            full_in: Rate::WINDOW,
        },
    })
}
