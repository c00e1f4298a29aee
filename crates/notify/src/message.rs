//! The e-mail as the mail server gets it.

use std::error::Error;

use askama::Template;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};

use crate::email::Email;
use crate::error::NotifyError;
use crate::view::{Html, Text, View};

/// Writes the headers and both bodies.
pub(crate) fn build(
    email: &Email<'_>,
    from: &Mailbox,
    reply_to: Option<&Mailbox>,
) -> Result<Message, NotifyError> {
    let to = email.to.parse().map_err(NotifyError::Recipient)?;
    let view = View::of(email);
    let text = Text { view: &view }.render()?;
    let html = Html { view: &view }.render()?;
    let mut message = Message::builder()
        .message_id(Some(format!("<{}@{}>", email.id, from.email.domain())))
        .date(email.date.into())
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(view.title)
        .header(AutoSubmitted);
    if let Some(reply_to) = reply_to {
        message = message.reply_to(reply_to.clone());
    }
    Ok(message.multipart(MultiPart::alternative_plain_html(text, html))?)
}

/// Says that no person wrote the e-mail, so that none answers by itself: RFC 3834.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
