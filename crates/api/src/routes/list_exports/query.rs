//! Which jobs to list.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{DataType, JobStatus, Violation, parse_time};
use store::jobs::Position;
use url::form_urlencoded::Serializer;

use crate::paging;
use crate::parameters::Parameters;
use crate::routes::list_exports::cursor;

/// The query of a listing.
#[derive(Clone, Debug)]
pub(crate) struct PageQuery {
    /// Whether to list what anybody of the organization has requested.
    pub(crate) whole_organization: bool,
    pub(crate) status: Option<JobStatus>,
    pub(crate) data_type: Option<DataType>,
    pub(crate) created_from: Option<DateTime<Utc>>,
    pub(crate) created_to: Option<DateTime<Utc>>,
    pub(crate) limit: u16,
    pub(crate) cursor: Option<Position>,
}

impl PageQuery {
    /// Reads the query of an address.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Vec<Violation>> {
        let mut parameters = Parameters::of(query);
        let whole_organization = parameters.optional("scope", |text| match text {
            "own" => Ok(false),
            "organization" => Ok(true),
            _ => Err("must be own or organization"),
        });
        let status = parameters.optional("status", |text| {
            text.parse().map_err(|_| {
                let names: Vec<_> = JobStatus::ALL
                    .iter()
                    .map(|status| status.as_str())
                    .collect();
                format!("must be one of {}", names.join(", "))
            })
        });
        let data_type = parameters.optional("data_type", |text| {
            DataType::parse(text).ok_or("must be lower-case letters, digits and underscores")
        });
        let created_from = parameters.optional("created_from", parse_time);
        let created_to = parameters.optional("created_to", parse_time);
        let limit = paging::limit(&mut parameters);
        let cursor = parameters.optional("cursor", |text| {
            cursor::decode(text).ok_or(paging::NO_CURSOR)
        });
        if let (Some(from), Some(to)) = (created_from, created_to)
            && to <= from
        {
            parameters.blame("created_to", "must be after created_from");
        }
        parameters.finish()?;
        Ok(Self {
            whole_organization: whole_organization.unwrap_or(false),
            status,
            data_type,
            created_from,
            created_to,
            limit,
            cursor,
        })
    }

    /// Returns the query of the page that follows the job at `position`.
    pub(crate) fn after(&self, position: Position) -> String {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            (
                "scope",
                self.whole_organization.then(|| "organization".to_owned()),
            ),
            ("status", self.status.map(|status| status.to_string())),
            (
                "data_type",
                self.data_type.as_ref().map(ToString::to_string),
            ),
            ("created_from", self.created_from.map(time)),
            ("created_to", self.created_to.map(time)),
            ("limit", Some(self.limit.to_string())),
            ("cursor", Some(cursor::encode(position))),
        ] {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    use domain::JobId;
    use store::jobs::Position;
    use uuid::Uuid;

    use super::PageQuery;

    #[test]
    fn the_next_page_is_asked_for_in_the_same_way() {
        let query = "scope=organization&status=FAILED&data_type=logs&created_from=2026-01-01T01%3A00%3A00.000001%2B01%3A00\
                     &created_to=2026-01-02T00%3A00%3A00Z&limit=7";
        let query = PageQuery::parse(Some(query)).unwrap();
        let position = Position {
            created_at: query.created_from.unwrap(),
            id: JobId::from(Uuid::from_u128(1)),
        };
        let next = PageQuery::parse(Some(&query.after(position))).unwrap();
        assert_eq!(next.cursor, Some(position));
        let with_cursor = PageQuery {
            cursor: Some(position),
            ..query
        };
        assert_eq!(format!("{next:?}"), format!("{with_cursor:?}"));
    }
}
