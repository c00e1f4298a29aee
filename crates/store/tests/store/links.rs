//! Links of the service's own: made under the lease of an e-mail, good for as long as the file.

use anyhow::Result;
use store::StoreError;
use store::jobs;
use store::jobs::links::{self, LinkToken};
use store::notifications::{self, Channel};

use crate::db::{Db, LEASE};

fn token(random: u8) -> LinkToken {
    LinkToken::new([random; 32])
}

#[tokio::test]
async fn a_link_is_found_by_its_token_while_the_file_is_there() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.completed().await?.job.id;
    let mail = notifications::claim_due(&mut conn, Channel::Email, LEASE, &[]).await?;
    let mail = mail.expect("a mail is due");
    for random in [1, 2] {
        links::add(&mut conn, &mail, &token(random)).await?;
        let found = links::find(&mut conn, &token(random)).await?;
        assert_eq!(found, Some(db.get(job).await?));
    }
    assert_eq!(links::find(&mut conn, &token(3)).await?, None);
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("SELECT token_sha256 FROM export_links")
        .fetch_all(&db.pool)
        .await?;
    let text = token(1).as_str().to_owned();
    assert!(!stored.contains(&text.into_bytes()) && !stored.contains(&vec![1; 32]));

    jobs::withdraw(&mut conn, &db.scope(), job, &db.actor()).await?;
    assert_eq!(links::find(&mut conn, &token(1)).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_process_that_lost_its_lease_makes_no_link() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    db.completed().await?;
    let zombie = notifications::claim_due(&mut conn, Channel::Email, LEASE, &[]).await?;
    let zombie = zombie.expect("a mail is due");
    db.expire_leases().await?;
    let successor = notifications::claim_due(&mut conn, Channel::Email, LEASE, &[]).await?;
    let refused = links::add(&mut conn, &zombie, &token(1)).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
    links::add(&mut conn, &successor.expect("it is due again"), &token(2)).await?;
    assert_eq!(links::find(&mut conn, &token(1)).await?, None);
    assert!(links::find(&mut conn, &token(2)).await?.is_some());
    Ok(())
}
