//! Whatever dies, hangs, lies or is late: each job reaches one end, and nothing is left behind.

mod answers;
mod api_process;
mod clickhouse;
mod clocks;
mod commits;
mod credentials;
mod deploys;
mod dispatch;
mod frozen;
mod pieces;
mod poison;
mod postgres;
mod redis;
mod removals;
mod resume;
mod smtp;
mod splits;
mod start_over;
mod storage;
mod sweep;
mod workers;
