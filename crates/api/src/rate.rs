//! How often organizations may ask: requests for exports over all processes, any other at each process
//! by itself (ADR 8).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::HeaderName;
use domain::OrganizationId;
use store::rates::{self, Rate, Standing};
use store::{PgPool, StoreError};

use crate::config::RateLimitConfig;

/// `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-11.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// After so many organizations, those are forgotten that have not asked for a minute.
const MANY: usize = 10_000;

/// The limits, and what is left of them.
#[derive(Debug)]
pub(crate) struct RateLimits {
    create: Option<Rate>,
    other: Option<Rate>,
    /// When all requests that are not for exports are there again.
    full_at: Mutex<HashMap<OrganizationId, Instant>>,
}

/// What is left to an organization.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    policy: &'static str,
    rate: Rate,
    standing: Standing,
}

impl RateLimits {
    pub(crate) fn new(config: RateLimitConfig) -> Self {
        Self {
            create: Rate::per_minute(config.create_per_minute),
            other: Rate::per_minute(config.other_per_minute),
            full_at: Mutex::default(),
        }
    }

    /// Takes a request for an export; nothing where there is no limit.
    pub(crate) async fn take_create(
        &self,
        pool: &PgPool,
        organization: OrganizationId,
    ) -> Result<Option<Left>, StoreError> {
        let Some(rate) = self.create else {
            return Ok(None);
        };
        let mut conn = store::acquire(pool).await?;
        Ok(Some(Left {
            policy: "create",
            rate,
            standing: rates::take(&mut conn, organization, rate).await?,
        }))
    }

    /// Takes any other request; nothing where there is no limit.
    pub(crate) fn take_other(&self, organization: OrganizationId) -> Option<Left> {
        self.other.map(|rate| Left {
            policy: "other",
            rate,
            standing: self.take_here(organization, rate, Instant::now()),
        })
    }

    /// Does for this process what [`rates::take`] does for all.
    fn take_here(&self, organization: OrganizationId, rate: Rate, now: Instant) -> Standing {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MANY {
            full_at.retain(|_, full_at| *full_at > now);
        }
        let last = full_at
            .get(&organization)
            .map_or(now, |last| now.max(*last));
        let next = last + rate.interval();
        let refused = next > now + Rate::WINDOW;
        if !refused {
            full_at.insert(organization, next);
        }
        let full_at = if refused { last } else { next };
        Standing {
            refused,
            full_in: full_at - now,
        }
    }
}

impl Left {
    /// Tells whether the request was one too many.
    pub(crate) fn refused(&self) -> bool {
        self.standing.refused
    }

    /// Returns how many requests there are a minute.
    pub(crate) fn requests(&self) -> u32 {
        self.rate.requests()
    }

    /// Returns in how many seconds there is one more request than now.
    pub(crate) fn one_more_in_s(&self) -> u64 {
        let there = Rate::WINDOW.saturating_sub(self.rate.interval() * self.remaining());
        let wait = (self.standing.full_in + self.rate.interval()).saturating_sub(there);
        wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
    }

    /// Returns the values of [`RATE_LIMIT_POLICY`] and [`RATE_LIMIT`].
    pub(crate) fn headers(&self) -> [(HeaderName, String); 2] {
        let Self { policy, rate, .. } = self;
        let (quota, window) = (rate.requests(), Rate::WINDOW.as_secs());
        let (remaining, wait) = (self.remaining(), self.one_more_in_s());
        [
            (
                RATE_LIMIT_POLICY,
                format!("\"{policy}\";q={quota};w={window}"),
            ),
            (RATE_LIMIT, format!("\"{policy}\";r={remaining};t={wait}")),
        ]
    }

    /// Returns how many requests are left.
    fn remaining(&self) -> u32 {
        let free = Rate::WINDOW.saturating_sub(self.standing.full_in);
        let left = free.as_nanos() / self.rate.interval().as_nanos();
        u32::try_from(left)
            .unwrap_or(u32::MAX)
            .min(self.rate.requests())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use domain::OrganizationId;
    use store::rates::{Rate, Standing};
    use uuid::Uuid;

    use super::{Left, RateLimits};
    use crate::config::RateLimitConfig;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn requests_are_there_at_once_and_come_back_one_by_one() {
        let limits = RateLimits::new(RateLimitConfig {
            create_per_minute: 0,
            other_per_minute: 3,
        });
        let (rate, start) = (limits.other.unwrap(), Instant::now());
        let organization = OrganizationId::from(Uuid::nil());
        let take = |at| limits.take_here(organization, rate, start + seconds(at));
        for (at, refused, full_in) in [
            (0.0, false, 20.0),
            (1.0, false, 39.0),
            (2.0, false, 58.0),
            (3.0, true, 57.0),
            (19.0, true, 41.0),
            (20.0, false, 60.0),
            (1000.0, false, 20.0),
        ] {
            let full_in = seconds(full_in);
            assert_eq!(take(at), Standing { refused, full_in }, "after {at} s");
        }
    }

    #[test]
    fn the_headers_say_what_is_left_for_how_long() {
        for (full_in, header) in [
            (20.0, "\"other\";r=2;t=20"),
            (30.0, "\"other\";r=1;t=10"),
            (39.1, "\"other\";r=1;t=20"),
            (60.0, "\"other\";r=0;t=20"),
            (40.5, "\"other\";r=0;t=1"),
        ] {
            let left = Left {
                policy: "other",
                rate: Rate::per_minute(3).unwrap(),
                standing: Standing {
                    refused: false,
                    full_in: seconds(full_in),
                },
            };
            let [(_, policy), (_, limit)] = left.headers();
            assert_eq!(policy, "\"other\";q=3;w=60");
            assert_eq!(limit, header);
        }
    }
}
