//! The claims of a token (RFC 7519, section 4): where they are found, and those that decide whether
//! it is valid.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::auth::{AuthError, InvalidToken};

/// The claims of a token whose signature is verified.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Reads the payload of a token.
    ///
    /// # Errors
    ///
    /// When it is no JSON object.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, InvalidToken> {
        let claims = serde_json::from_slice(payload).map_err(|_| InvalidToken::Payload)?;
        Ok(Self(claims))
    }

    /// Finds a claim by its name, or by a path such as `realm_access.roles`.
    ///
    /// Names can hold dots, so the whole name is looked for first. Then each beginning of it that
    /// names an object, the longest first, and in there the rest in the same way.
    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        find(&self.0, name)
    }
}

impl Claims {
    /// Tells whether a path ends early, at a claim that is neither an object nor null: `resource` is a text,
    /// and `resource.workspace` is looked for.
    pub(super) fn obstructs(&self, name: &str) -> bool {
        obstructs(&self.0, name)
    }
}

fn obstructs(object: &Map<String, Value>, name: &str) -> bool {
    let mut beginnings = name.match_indices('.');
    beginnings.any(|(dot, _)| match object.get(&name[..dot]) {
        None | Some(Value::Null) => false,
        Some(Value::Object(inner)) => obstructs(inner, &name[dot + 1..]),
        Some(_) => true,
    })
}

fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        name.rmatch_indices('.').find_map(|(dot, _)| {
            let (beginning, rest) = name.split_at(dot);
            find(object.get(beginning)?.as_object()?, rest.strip_prefix('.')?)
        })
    })
}

/// What the claims of a valid token must say.
#[derive(Debug)]
pub(super) struct Rules {
    /// The `iss`; any, or none, where there is nothing.
    pub(super) issuer: Option<String>,
    /// The `aud`, or one of them; any, or none, where there is nothing.
    pub(super) audience: Option<String>,
    /// How far the clocks of the issuer and of this machine may be apart.
    pub(super) leeway: Duration,
}

impl Rules {
    /// Returns for how long the token is still valid.
    ///
    /// # Errors
    ///
    /// When it has expired, is not valid yet, or is not from the issuer or not for the audience.
    pub(super) fn check(&self, claims: &Claims, now: DateTime<Utc>) -> Result<Duration, AuthError> {
        let now = (now - DateTime::UNIX_EPOCH).to_std().unwrap_or_default();
        let is_ready = claims
            .find("nbf")
            .is_none_or(|nbf| date(nbf).is_some_and(|nbf| nbf <= now.saturating_add(self.leeway)));
        let is_from = |issuer| claims.find("iss").is_some_and(|iss| iss == issuer);
        let is_for = |audience: &str| match claims.find("aud") {
            Some(Value::Array(all)) => all.iter().any(|aud| aud == audience),
            Some(aud) => aud == audience,
            None => false,
        };
        let end = claims.find("exp").and_then(date);
        let wrong = |claim: &str| Err(InvalidToken::Claim(claim.to_owned()).into());
        let Some(end) = end else { return wrong("exp") };
        if !is_ready {
            return wrong("nbf");
        }
        if !self.issuer.as_deref().is_none_or(is_from) {
            return wrong("iss");
        }
        if !self.audience.as_deref().is_none_or(is_for) {
            return wrong("aud");
        }
        let left = end.saturating_add(self.leeway).checked_sub(now);
        left.filter(|left| !left.is_zero())
            .ok_or(AuthError::Expired)
    }
}

/// Reads a time in seconds since 1970, which can have a fraction.
fn date(value: &Value) -> Option<Duration> {
    let whole = value.as_u64().map(Duration::from_secs);
    whole.or_else(|| Duration::try_from_secs_f64(value.as_f64()?).ok())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::{Claims, Rules};

    const NOW: i64 = 1_800_000_000;

    fn found(claims: &Value, name: &str) -> Value {
        let claims = Claims::parse(claims.to_string().as_bytes()).unwrap();
        claims.find(name).cloned().unwrap_or(json!("nothing"))
    }

    #[test]
    fn a_claim_is_found_by_its_name_or_its_path() {
        let keycloak = json!({
            "realm_access": { "roles": ["viewer"] },
            "resource_access": { "export.api": { "roles": ["owner"] }, "export": 7 },
        });
        assert_eq!(found(&keycloak, "realm_access.roles"), json!(["viewer"]));
        let name = "resource_access.export.api.roles";
        assert_eq!(found(&keycloak, name), json!(["owner"]), "a dot in between");
        for name in [
            "roles",
            "realm_access.role",
            "realm_access.roles.0",
            "realm_access.",
            ".realm_access",
            "realm_access..roles",
            "",
        ] {
            assert_eq!(found(&keycloak, name), "nothing", "{name}");
        }
    }

    #[test]
    fn a_whole_name_goes_before_a_path_and_a_long_name_before_a_short_one() {
        let url = "https://example.com/roles";
        assert_eq!(found(&json!({ url: ["a"] }), url), json!(["a"]));
        let both = json!({ "a.b.c": 1, "a.b": { "c": 2 }, "a": { "b": { "c": 3 }, "b.c": 4 } });
        assert_eq!(found(&both, "a.b.c"), 1);
        let both = json!({ "a.b": { "c": 2 }, "a": { "b": { "c": 3 }, "b.c": 4 } });
        assert_eq!(found(&both, "a.b.c"), 2);
        let both = json!({ "a.b": { "d": 2 }, "a": { "b": { "c": 3 }, "b.c": 4 } });
        assert_eq!(found(&both, "a.b.c"), 4, "what the longest name lacks");
        let null = json!({ "a.b": null, "a": { "b": 1 } });
        assert_eq!(found(&null, "a.b"), Value::Null);
    }

    #[test]
    fn a_path_is_obstructed_by_claims_that_are_no_objects() {
        let obstructs = |claims: Value| {
            let claims = Claims::parse(claims.to_string().as_bytes()).unwrap();
            claims.obstructs("a.b.c")
        };
        for other in [
            json!("x"),
            json!(7),
            json!(false),
            json!([{ "b": { "c": 1 } }]),
        ] {
            assert!(obstructs(json!({ "a": other })), "{other}");
            assert!(obstructs(json!({ "a": { "b": other } })), "{other}");
            assert!(obstructs(json!({ "a.b": other })), "{other}");
        }
        for free in [
            json!({}),
            json!({ "a": null }),
            json!({ "a": {} }),
            json!({ "a": { "b": { "c": 1 } } }),
            json!({ "a.b.c": 1, "b": 1, "c": 1 }),
        ] {
            assert!(!obstructs(free.clone()), "{free}");
        }
    }

    fn left(claims: &Value) -> Result<Duration, String> {
        let rules = Rules {
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(30),
        };
        let claims = Claims::parse(claims.to_string().as_bytes()).unwrap();
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let checked = rules.check(&claims, now);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_valid_for_its_time_and_the_leeway() {
        for (exp, seconds) in [
            (json!(NOW + 60), 90.0),
            (json!(NOW), 30.0),
            (json!(NOW - 29), 1.0),
            (json!(1_800_000_060.5), 90.5),
        ] {
            let left = left(&json!({ "exp": exp })).unwrap();
            assert_eq!(left, Duration::from_secs_f64(seconds), "{exp}");
        }
        for exp in [json!(NOW - 30), json!(NOW - 31), json!(0)] {
            let error = left(&json!({ "exp": exp })).unwrap_err();
            assert_eq!(error, "the token has expired");
        }
        for exp in [json!(u64::MAX), json!(1e19)] {
            assert!(left(&json!({ "exp": exp })).is_ok(), "{exp}");
        }
        for exp in [
            json!("1800000060"),
            json!(-1),
            json!(1e300),
            json!([]),
            json!(null),
        ] {
            assert!(left(&json!({ "exp": exp })).is_err(), "{exp}");
        }
        assert!(left(&json!({})).is_err());
    }

    #[test]
    fn a_token_is_not_valid_before_its_time() {
        let left = |nbf| left(&json!({ "exp": NOW + 60, "nbf": nbf }));
        assert!(left(json!(NOW + 30)).is_ok());
        assert!(left(json!(NOW + 31)).is_err());
        assert!(left(json!("today")).is_err());
    }
}
