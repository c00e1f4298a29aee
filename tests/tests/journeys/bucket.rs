//! Services of a world's own that can be looked into or broken: an S3 server, proxies, large rows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use devstack::S3;
pub(crate) use e2e::proxy_before;
use e2e::{Tenant, World, eventually};

const NAME: &str = "exports";

/// An S3 server with one bucket, and what is in it.
pub(crate) struct Bucket {
    /// The server.
    pub(crate) s3: S3,
    root: PathBuf,
}

impl Bucket {
    /// Starts a server for the binaries that start from now on.
    pub(crate) async fn start(world: &mut World) -> Result<Self> {
        let s3 = S3::start(world.dir.path()).await?;
        s3.create_bucket(NAME)?;
        world.env.s3 = s3.env(NAME);
        let root = world.dir.path().join("s3");
        Ok(Self { s3, root })
    }

    /// Returns the keys of the objects.
    pub(crate) fn objects(&self) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        collect(&self.root.join(NAME), "", &mut keys)?;
        Ok(keys)
    }

    /// Returns the uploads that are neither completed nor aborted.
    pub(crate) fn uploads(&self) -> Result<Vec<String>> {
        self.files(".upload-")
    }

    /// Waits until there are so many objects, and nothing else.
    pub(crate) async fn settled(&self, objects: usize) -> Result<()> {
        eventually("a bucket without leavings", async || {
            let settled = self.objects()?.len() == objects && self.uploads()?.is_empty();
            Ok(settled.then_some(()))
        })
        .await
        .with_context(|| format!("{:?} {:?}", self.objects(), self.uploads()))
    }

    fn files(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Waits until a part of an upload has arrived.
    pub(crate) async fn part_arrived(&self) -> Result<()> {
        eventually("a part of an upload", async || {
            Ok((!self.files(".upload_id-")?.is_empty()).then_some(()))
        })
        .await
    }
}

fn collect(dir: &Path, prefix: &str, keys: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), keys)?;
        } else {
            keys.push(name);
        }
    }
    Ok(())
}

/// Inserts log records with bodies of a thousand bytes that no compression makes much smaller.
pub(crate) async fn insert_bulk(world: &World, tenant: &Tenant, rows: u64) -> Result<()> {
    let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, Body, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number AS t, t, \
         randomPrintableASCII(1000), map('telemetryflow.organization.id', {organization:String}) \
         FROM numbers({rows:UInt64})";
    let organization = tenant.organization.to_string();
    let parameters = [
        ("organization", &*organization),
        ("rows", &*rows.to_string()),
    ];
    world.clickhouse.run(sql, &parameters).await?;
    Ok(())
}
