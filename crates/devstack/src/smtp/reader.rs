//! Lines and messages as SMTP frames them (RFC 5321).

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The largest message in bytes, as the SIZE extension announces it.
pub(super) const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// Reads a line without its end; `None` when the client has gone.
pub(super) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(
        String::from_utf8_lossy(&line)
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
    ))
}

/// Reads a message up to the line with nothing but a dot, and takes the doubled dots back
/// (section 4.5.2); `None` when it is too large.
pub(super) async fn read_message(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<Vec<u8>>> {
    let mut message = Some(Vec::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(message);
        }
        let text = line.strip_prefix(b".").unwrap_or(&line);
        message = message.filter(|message| message.len() + text.len() <= MAX_MESSAGE_BYTES);
        if let Some(message) = &mut message {
            message.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MESSAGE_BYTES, read_line, read_message};

    #[tokio::test]
    async fn doubled_dots_are_single_again() {
        let mut input = &b"a\r\n..\r\n..b\r\n\r\n.\r\nQUIT\r\n"[..];
        let message = read_message(&mut input).await.unwrap();
        assert_eq!(message.as_deref(), Some(&b"a\r\n.\r\n.b\r\n\r\n"[..]));
        assert_eq!(
            read_line(&mut input).await.unwrap().as_deref(),
            Some("QUIT")
        );
        assert_eq!(read_line(&mut input).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_read_to_its_end() {
        let mut input = vec![b'x'; MAX_MESSAGE_BYTES];
        input.extend_from_slice(b"\r\n.\r\nQUIT\r\n");
        let mut input = input.as_slice();
        assert_eq!(read_message(&mut input).await.unwrap(), None);
        assert_eq!(
            read_line(&mut input).await.unwrap().as_deref(),
            Some("QUIT")
        );
    }
}
