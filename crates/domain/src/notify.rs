//! How a user hears of the end of an export.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::members::{Members, one_of};
use crate::output::closed_set;
use crate::violation::{Pointer, Violation};

closed_set! {
    /// Where the link of an e-mail leads.
    LinkKind {
        /// To the storage, for seven days at most.
        Presigned = "presigned",
        /// To the service, which knows who follows it and can revoke it, for as long as the file is
        /// kept.
        Service = "service",
    }
}

/// The option `notify` of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Where the link of the e-mail leads.
    pub link: LinkKind,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            link: LinkKind::Presigned,
        }
    }
}

impl Notify {
    /// Points at the link of a request.
    pub fn link_pointer() -> Pointer {
        Pointer::root()
            .child("options")
            .child("notify")
            .child("link")
    }

    pub(crate) fn parse(value: &Value, at: &Pointer) -> Result<Self, Vec<Violation>> {
        let mut members = Members::of(value, at.clone())?;
        let default = Self::default();
        let link = members.optional("link", |value, at| {
            one_of(value, at, LinkKind::parse, LinkKind::NAMES)
        });
        members.finish()?;
        Ok(Self {
            link: link.unwrap_or(default.link),
        })
    }

    /// Returns the option as it would be given; nothing where it is as without it.
    pub(crate) fn to_json(&self) -> Option<Value> {
        let mut members = Map::new();
        if self.link != LinkKind::Presigned {
            members.insert("link".to_owned(), self.link.as_str().into());
        }
        (!members.is_empty()).then_some(Value::Object(members))
    }
}
