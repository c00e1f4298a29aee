//! What a caller may do, and how a token says so.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::auth::AuthSetupError;
use crate::auth::claims::Claims;
use crate::config::AuthConfig;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Permission {
    /// Request exports, and withdraw them.
    #[serde(rename = "export:create")]
    Create = 1,
    /// See exports and download their files.
    #[serde(rename = "export:read")]
    Read = 2,
    /// See with what the webhooks of the organization are signed.
    #[serde(rename = "export:webhooks")]
    Webhooks = 4,
    /// Everything, for what everybody of the organization has requested.
    #[serde(rename = "export:admin")]
    Admin = 8,
}

impl Permission {
    const ALL: [Self; 4] = [Self::Create, Self::Read, Self::Webhooks, Self::Admin];

    /// What everybody may do where tokens do not say it: nothing that is somebody else's.
    const OF_A_MEMBER: [Self; 3] = [Self::Create, Self::Read, Self::Webhooks];

    /// Returns the name, as it stands in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "export:create",
            Self::Read => "export:read",
            Self::Webhooks => "export:webhooks",
            Self::Admin => "export:admin",
        }
    }

    /// Says that a caller does not have it.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Self::Create => "Your token does not have the permission export:create.",
            Self::Read => "Your token does not have the permission export:read.",
            Self::Webhooks => "Your token does not have the permission export:webhooks.",
            Self::Admin => "Your token does not have the permission export:admin.",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All that a caller may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Permissions(u8);

impl Permissions {
    /// Tells whether the caller may do it; an admin may do everything.
    pub(super) fn allow(self, permission: Permission) -> bool {
        self.0 & (permission as u8 | Permission::Admin as u8) != 0
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let bits = permissions.into_iter().map(|permission| permission as u8);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

/// How permissions are read from a token.
pub(super) struct Grants {
    /// The claims that may hold names; without any everybody is a member.
    claims: Vec<String>,
    roles: HashMap<String, Vec<Permission>>,
}

impl Grants {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// When there are roles, but no claim to find them in.
    pub(super) fn new(config: &AuthConfig) -> Result<Self, AuthSetupError> {
        if config.permissions_claims.is_empty() && !config.roles.is_empty() {
            return Err(AuthSetupError::RolesOfNoClaim);
        }
        Ok(Self {
            claims: config.permissions_claims.clone(),
            roles: config.roles.clone(),
        })
    }

    /// Returns what a token permits: what its claims permit together.
    pub(super) fn of(&self, claims: &Claims) -> Permissions {
        if self.claims.is_empty() {
            return Permissions::from_iter(Permission::OF_A_MEMBER);
        }
        let values = self.claims.iter().filter_map(|name| claims.find(name));
        values.flat_map(|value| self.in_claim(value)).collect()
    }

    /// Returns what a claim permits. It is an array of names, or a text with spaces between them as
    /// OAuth's `scope` is (RFC 6749, section 3.3); names of other services mean nothing.
    fn in_claim(&self, value: &Value) -> Vec<Permission> {
        let names: Vec<_> = match value {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            Value::String(names) => names.split(' ').collect(),
            _ => Vec::new(),
        };
        names
            .into_iter()
            .flat_map(|name| self.named(name))
            .collect()
    }

    /// Returns what a name stands for: a permission, or those of a role.
    fn named(&self, name: &str) -> impl Iterator<Item = Permission> {
        let direct = Permission::ALL
            .into_iter()
            .filter(move |permission| permission.as_str() == name);
        let role = self.roles.get(name).map_or(&[][..], Vec::as_slice);
        direct.chain(role.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::{Grants, Permission};
    use crate::auth::claims::Claims;

    fn allowed(names: &[&str], claims: &Value) -> Vec<Permission> {
        let roles = [
            ("viewer", vec![Permission::Read]),
            ("on call", vec![Permission::Create, Permission::Read]),
        ];
        let grants = Grants {
            claims: names.iter().map(|name| (*name).to_owned()).collect(),
            roles: HashMap::from(roles.map(|(name, permissions)| (name.to_owned(), permissions))),
        };
        let permissions = grants.of(&Claims::parse(claims.to_string().as_bytes()).unwrap());
        let all = Permission::ALL.into_iter();
        all.filter(|permission| permissions.allow(*permission))
            .collect()
    }

    #[test]
    fn without_a_claim_everybody_is_a_member() {
        let everything = json!({ "scope": "export:admin" });
        let no_admin = [Permission::Create, Permission::Read, Permission::Webhooks];
        assert_eq!(allowed(&[], &everything), no_admin);
    }

    #[test]
    fn permissions_and_roles_are_found_in_both_forms() {
        let scope = |value: Value| allowed(&["scope"], &json!({ "scope": value }));
        assert_eq!(scope(json!("openid export:read")), [Permission::Read]);
        assert_eq!(scope(json!(["export:create", 7])), [Permission::Create]);
        assert_eq!(scope(json!(["viewer", "export:create"])).len(), 2);
        assert_eq!(scope(json!("viewer")), [Permission::Read]);
        assert_eq!(scope(json!(["on call"])).len(), 2, "a name with a space");
        assert_eq!(scope(json!("export:webhooks")), [Permission::Webhooks]);
        assert_eq!(scope(json!("export:admin")), Permission::ALL);
    }

    #[test]
    fn what_is_not_understood_permits_nothing() {
        for value in [
            json!(null),
            json!(7),
            json!({"export:admin": true}),
            json!(""),
            json!("EXPORT:ADMIN export:admin,export:read on call"),
            json!(["export:read export:create"]),
        ] {
            let claims = json!({ "scope": value });
            assert_eq!(allowed(&["scope"], &claims), [], "{claims}");
        }
        assert_eq!(allowed(&["scope"], &json!({})), []);
    }

    #[test]
    fn several_claims_permit_together_what_each_does() {
        let both = ["permissions", "realm_access.roles"];
        let claims = json!({
            "permissions": ["export:create"], "realm_access": { "roles": ["viewer"] },
        });
        let permissions = [Permission::Create, Permission::Read];
        assert_eq!(allowed(&both, &claims), permissions);
        let one = json!({ "realm_access": { "roles": ["viewer"] } });
        assert_eq!(allowed(&both, &one), [Permission::Read]);
        let flat = json!({ "realm_access.roles": "viewer", "permissions": null });
        assert_eq!(allowed(&both, &flat), [Permission::Read]);
        assert_eq!(allowed(&both, &json!({ "scope": "export:admin" })), []);
    }
}
