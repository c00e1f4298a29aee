//! The organizations and users that the sample data belongs to.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};
use uuid::{Uuid, uuid};

/// An organization and a user of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenant {
    /// The id of the organization.
    pub(crate) organization: Uuid,
    /// Its name.
    pub(crate) name: &'static str,
    /// The id of the user.
    pub(crate) user: Uuid,
    /// Where the user reads e-mail.
    pub(crate) email: &'static str,
}

/// The organization whose telemetry the demo exports.
pub(crate) const BAKERY: Tenant = Tenant {
    organization: uuid!("0b000000-0000-4000-8000-000000000001"),
    name: "Birch Bakery",
    user: uuid!("0b000000-0000-4000-8000-0000000000aa"),
    email: "ada@birch-bakery.example",
};

/// Another one, whose rows nobody else may see.
pub(crate) const FERRY: Tenant = Tenant {
    organization: uuid!("0f000000-0000-4000-8000-000000000002"),
    name: "Lantern Ferries",
    user: uuid!("0f000000-0000-4000-8000-0000000000bb"),
    email: "grace@lantern-ferries.example",
};

/// Writes both into the platform's tables.
///
/// # Errors
///
/// When Postgres refuses.
pub(crate) async fn seed(postgres_url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(postgres_url).await?;
    for tenant in [BAKERY, FERRY] {
        sqlx::query("INSERT INTO organizations (organization_id, name) VALUES ($1, $2)")
            .bind(tenant.organization)
            .bind(tenant.name)
            .execute(&mut connection)
            .await?;
        sqlx::query("INSERT INTO users (user_id, organization_id, email) VALUES ($1, $2, $3)")
            .bind(tenant.user)
            .bind(tenant.organization)
            .bind(tenant.email)
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;
    Ok(())
}
