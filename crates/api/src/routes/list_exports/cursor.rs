//! The place in a listing where a page ended, as clients carry it around without reading it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use domain::JobId;
use store::jobs::Position;
use uuid::Uuid;

/// Writes a position: microseconds since 1970 and the id of the job.
pub(super) fn encode(position: Position) -> String {
    let mut bytes = position
        .created_at
        .timestamp_micros()
        .to_be_bytes()
        .to_vec();
    bytes.extend(position.id.as_uuid().into_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`encode`] wrote; what is anything else, or a time that Postgres does not know, is
/// nothing.
pub(super) fn decode(text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (micros, id) = bytes.split_first_chunk()?;
    let created_at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
    created_at.timestamp_nanos_opt()?;
    Some(Position {
        created_at,
        id: JobId::from(Uuid::from_bytes(id.try_into().ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::decode;

    #[test]
    fn what_nobody_was_given_is_no_position() {
        let at = |micros: i64| [micros.to_be_bytes().as_slice(), &[0; 16]].concat();
        let year_200_000 = 6_249_000_000_000_000_000;
        for bytes in [
            at(i64::MAX),
            at(year_200_000),
            vec![0; 23],
            vec![0; 25],
            vec![],
        ] {
            assert_eq!(decode(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }
        assert_eq!(decode("???"), None);
        assert!(decode(&URL_SAFE_NO_PAD.encode(at(0))).is_some());
    }
}
