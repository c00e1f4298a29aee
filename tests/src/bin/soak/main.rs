//! Exports under fire: an API, three workers and a client that keeps asking, while everything that
//! can fail does so at random; in the end all that must hold is checked from outside.
//!
//! `cargo xtask soak` builds and starts it.

mod attack;
mod check;
mod client;
mod schedule;
mod stage;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use devstack::Devstack;
use e2e::World;

use crate::client::Client;
use crate::stage::Stage;

/// Lets faults strike exports, and checks what is left.
#[derive(Debug, Parser)]
struct Args {
    /// How long exports are asked for and faults strike.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// What the schedule of faults and the requests are made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where data and logs go.
    #[arg(long)]
    directory: PathBuf,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let length = Duration::from_secs(args.minutes * 60);
    let devstack = Devstack::start(&args.directory).await?;
    let world = World::on(devstack.env().clone()).await?;
    let bodies = check::fill(&world).await?;
    let mut stage = Stage::set(&world, &devstack).await?;

    let client = Client::new(&stage, args.seed)?;
    let started = Instant::now();
    let asking = tokio::spawn(client.ask_for(length));
    let mut struck = attack::Tally::default();
    for event in schedule::schedule(args.seed, length) {
        tokio::time::sleep_until((started + event.at).into()).await;
        println!("{:>7.1} s  {}", event.at.as_secs_f32(), event.fault);
        stage.strike(event.fault).await?;
        struck.add(event.fault);
    }
    let asked = asking.await??;
    println!("the faults are over; what is left is done now");
    stage.calm().await?;

    let report = check::check(&world, &stage, &bodies).await?;
    if !report.holds() {
        for log in ["API.log", "WORKER.log"] {
            fs::copy(world.dir.path().join(log), args.directory.join(log))?;
        }
    }
    println!("\n{struck}\n{asked}\n{report}");
    stage.leave().await?;
    devstack.stop().await?;
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
