//! The e-mails as a mail server receives them.

mod content;
mod delivery;
mod support;
