//! Whatever dies, hangs, lies or is late: each job reaches one end, and nothing is left behind.

mod clickhouse;
mod crashes;
mod interruptions;
mod leftovers;
mod lost_leases;
mod postgres;
mod resume;
mod storage;
mod wake_ups;
