//! What the faults of the schedule do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use devstack::{Proxy, Signal, Stage as MailStage};
use reqwest::StatusCode;

use crate::schedule::Fault;
use crate::stage::{GRACE, Stage};

impl Stage<'_> {
    /// Lets a fault strike. It has gone, but for its consequences, when this returns.
    pub(crate) async fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillWorker { worker } => {
                self.take_worker(worker)?.kill().await?;
                self.start_worker(worker).await
            }
            Fault::FreezeWorker { worker, ms } => {
                self.worker(worker)?.signal(Signal::Stop)?;
                pause(ms).await;
                self.worker(worker)?.signal(Signal::Continue)
            }
            Fault::DeployWorker { worker } => {
                self.take_worker(worker)?.stop(GRACE).await?;
                self.start_worker(worker).await
            }
            Fault::KillApi => self.restart_api().await,
            Fault::KillRedis => {
                self.devstack.redis().kill().await?;
                self.devstack.redis().restart().await
            }
            Fault::KillPostgres => {
                self.devstack.postgres().kill().await?;
                self.devstack.postgres().restart().await
            }
            Fault::CutPostgres { after } => {
                self.postgres.cut_once_after(after);
                Ok(())
            }
            Fault::CutClickHouse { after } => {
                self.clickhouse.cut_once_after(after);
                Ok(())
            }
            Fault::StallClickHouse { ms } => stall(&self.clickhouse, ms).await,
            Fault::RefuseClickHouse { ms } => {
                self.clickhouse.refuse().await;
                pause(ms).await;
                self.clickhouse.heal().await
            }
            Fault::FailS3 {
                operation,
                status,
                times,
            } => {
                let status = StatusCode::from_u16(status)?;
                self.devstack.s3().faults().fail(operation, status, times);
                Ok(())
            }
            Fault::LoseS3Answer { operation } => {
                self.devstack.s3().faults().hang_up_after(operation, 1);
                Ok(())
            }
            Fault::StallS3 { ms } => stall(&self.s3, ms).await,
            Fault::RefuseMail { reply } => {
                self.devstack
                    .smtp()
                    .faults()
                    .reject(MailStage::Data, reply, 2);
                Ok(())
            }
            Fault::DropMail => {
                self.devstack.smtp().faults().hang_up_after_data(1);
                Ok(())
            }
        }
    }
}

async fn stall(proxy: &Proxy, ms: u64) -> Result<()> {
    proxy.stall_after(0);
    pause(ms).await;
    proxy.heal().await
}

/// Lets a fault last, as its schedule says.
async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// How often which kind of fault has struck.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    pub(crate) fn add(&mut self, fault: Fault) {
        *self.0.entry(fault.kind()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "faults                  {}",
            self.0.values().sum::<u32>()
        )?;
        for (kind, count) in &self.0 {
            writeln!(f, "  {count:>4}  {kind}")?;
        }
        Ok(())
    }
}
