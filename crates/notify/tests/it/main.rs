//! E-mails and calls of webhooks, as those receive them whom they are for.

mod content;
mod delivery;
mod support;
mod webhook;
