//! The `Content-Disposition` that makes a browser save a file under its name.

use std::fmt::Write;

/// Writes the header for an attachment: RFC 6266, with the name in ASCII for old readers and, when
/// that is not the whole name, as RFC 8187 has it.
pub(crate) fn attachment(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|c| match c {
            // A quote or backslash would need escapes, and `%` is decoded by some browsers.
            ' '..='~' if !matches!(c, '"' | '\\' | '%' | '/') => c,
            _ => '_',
        })
        .collect();
    let mut header = format!("attachment; filename=\"{plain}\"");
    if plain != file_name {
        header.push_str("; filename*=UTF-8''");
        for byte in file_name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                header.push(char::from(byte));
            } else {
                // Writing into a string cannot fail.
                let _ = write!(header, "%{byte:02X}");
            }
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_plain_name_stands_as_it_is() {
        assert_eq!(
            attachment("logs_20260101T000000Z.csv.gz"),
            "attachment; filename=\"logs_20260101T000000Z.csv.gz\""
        );
    }

    #[test]
    fn nothing_breaks_out_of_the_header() {
        assert_eq!(
            attachment("a\"b\r\nX: y/ü.csv"),
            "attachment; filename=\"a_b__X: y__.csv\"; \
             filename*=UTF-8''a%22b%0D%0AX%3A%20y%2F%C3%BC.csv"
        );
    }
}
