//! What all sessions of the mail server share: messages, login and faults.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mail_parser::MessageParser;
use tokio_rustls::TlsAcceptor;

use crate::Mail;

/// Where a session can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// At a recipient.
    Recipient,
    /// After the message.
    Data,
}

/// The failures that are still to come.
#[derive(Debug, Default)]
pub struct SmtpFaults(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    rejection: Option<(Stage, u16, usize)>,
    hang_ups: usize,
}

impl SmtpFaults {
    /// Refuses the next `times` recipients or messages with a reply such as 451 (try again) or 550
    /// (never).
    pub fn reject(&self, stage: Stage, reply: u16, times: usize) {
        self.pending().rejection = Some((stage, reply, times));
    }

    /// Keeps the next `times` messages but hangs up instead of saying so: the client cannot know.
    pub fn hang_up_after_data(&self, times: usize) {
        self.pending().hang_ups = times;
    }

    /// Lets everything work again.
    pub fn clear(&self) {
        *self.pending() = Pending::default();
    }

    /// Takes the rejection that is due, if any.
    pub(super) fn take_rejection(&self, stage: Stage) -> Option<u16> {
        match &mut self.pending().rejection {
            Some((at, reply, times)) if *at == stage && *times > 0 => {
                *times -= 1;
                Some(*reply)
            }
            _ => None,
        }
    }

    /// Takes the hang-up that is due, if any.
    pub(super) fn take_hang_up(&self) -> bool {
        let hang_ups = &mut self.pending().hang_ups;
        let due = *hang_ups > 0;
        *hang_ups = hang_ups.saturating_sub(1);
        due
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all sessions share.
pub(super) struct Shared {
    pub(super) tls: TlsAcceptor,
    pub(super) faults: SmtpFaults,
    login: Mutex<Option<(String, String)>>,
    messages: Mutex<Vec<Mail>>,
    dir: PathBuf,
}

impl Shared {
    pub(super) fn new(tls: TlsAcceptor, dir: PathBuf) -> Self {
        Self {
            tls,
            faults: SmtpFaults::default(),
            login: Mutex::default(),
            messages: Mutex::default(),
            dir,
        }
    }

    pub(super) fn require_login(&self, user: &str, password: &str) {
        *lock(&self.login) = Some((user.to_owned(), password.to_owned()));
    }

    pub(super) fn login_required(&self) -> bool {
        lock(&self.login).is_some()
    }

    /// Checks a login; any will do while none is required.
    pub(super) fn accepts_login(&self, user: &str, password: &str) -> bool {
        lock(&self.login)
            .as_ref()
            .is_none_or(|required| required.0 == user && required.1 == password)
    }

    /// Returns a copy of all messages, the newest last.
    pub(super) fn messages(&self) -> Vec<Mail> {
        lock(&self.messages).clone()
    }

    /// Returns a copy of the messages to an address, the newest last.
    pub(super) fn messages_to(&self, address: &str) -> Vec<Mail> {
        let messages = lock(&self.messages);
        let to = |mail: &&Mail| mail.to.iter().any(|to| to == address);
        messages.iter().filter(to).cloned().collect()
    }

    pub(super) fn forget_messages(&self) {
        lock(&self.messages).clear();
    }

    /// Keeps a message.
    pub(super) async fn keep(&self, recipients: Vec<String>, raw: &[u8]) -> std::io::Result<()> {
        let number = {
            let mut messages = lock(&self.messages);
            messages.push(parse(recipients, raw));
            messages.len()
        };
        tokio::fs::write(self.dir.join(format!("{number:04}.eml")), raw).await
    }
}

fn parse(recipients: Vec<String>, raw: &[u8]) -> Mail {
    let message = MessageParser::default().parse(raw).unwrap_or_default();
    let from = message
        .from()
        .and_then(|from| from.first())
        .and_then(|from| from.address());
    let text = |part: Option<std::borrow::Cow<'_, str>>| part.unwrap_or_default().into_owned();
    Mail {
        from: from.unwrap_or_default().to_owned(),
        to: recipients,
        subject: message.subject().unwrap_or_default().to_owned(),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        text: text(message.body_text(0)),
        html: text(message.body_html(0)),
        raw: String::from_utf8_lossy(raw).into_owned(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
