//! What the reader of an e-mail sees, in words; the templates give it a form.

use askama::Template;
use chrono::{DateTime, Utc};
use domain::{Compression, ExportRequest, ExportedFile, FileTotals, JsonLayout, Output};

use crate::email::{Email, Outcome};

/// The text of an e-mail.
pub(crate) struct View<'a> {
    /// The subject and the heading.
    pub(crate) title: String,
    /// What a list of e-mails shows behind the subject.
    pub(crate) preview: String,
    /// What comes under the heading.
    pub(crate) lead: String,
    /// The button, of a file that is there.
    pub(crate) download: Option<Download<'a>>,
    /// The links, of files that are there.
    pub(crate) downloads: Option<Downloads<'a>>,
    /// Everything else.
    pub(crate) facts: Vec<Fact>,
}

/// A link, in words.
pub(crate) struct Download<'a> {
    pub(crate) url: &'a str,
    pub(crate) until: String,
}

/// Links, in words.
pub(crate) struct Downloads<'a> {
    pub(crate) files: Vec<File<'a>>,
    /// Where there are more, if there are.
    pub(crate) rest: Option<Rest<'a>>,
    pub(crate) until: String,
}

/// One of several files.
pub(crate) struct File<'a> {
    pub(crate) name: String,
    pub(crate) size: String,
    pub(crate) url: &'a str,
}

/// The files that have no link.
pub(crate) struct Rest<'a> {
    pub(crate) count: String,
    pub(crate) manifest_url: &'a str,
}

/// A line of the table.
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) value: String,
    /// Whether the value is for machines: a hash, a name, an id.
    pub(crate) code: bool,
}

/// The e-mail in HTML.
#[derive(Template)]
#[template(path = "email.html")]
pub(crate) struct Html<'a> {
    pub(crate) view: &'a View<'a>,
}

/// The e-mail as plain text.
#[derive(Template)]
#[template(path = "email.txt")]
pub(crate) struct Text<'a> {
    pub(crate) view: &'a View<'a>,
}

impl<'a> View<'a> {
    pub(crate) fn of(email: &Email<'a>) -> Self {
        let request = email.request;
        let data_type = &request.data_type;
        let mut view = match email.outcome {
            Outcome::Completed { file, link } => {
                let until = minute(link.expires_at);
                let lead = result(file);
                Self {
                    title: format!("Your export of {data_type} is ready"),
                    preview: format!("{lead} The link works until {until}."),
                    lead,
                    download: Some(Download {
                        url: link.url,
                        until,
                    }),
                    downloads: None,
                    facts: vec![
                        code("File", request.file_name(1)),
                        plain("Rows", grouped(file.rows)),
                        plain("Size", exact_size(file.size_bytes)),
                        code("SHA-256", file.sha256.clone()),
                    ],
                }
            }
            Outcome::Split {
                totals,
                files,
                expires_at,
                manifest_url,
            } => {
                let until = minute(expires_at);
                let lead = results(&totals);
                let files = (1..).zip(files).map(|(number, (file, url))| File {
                    name: request.file_name(number),
                    size: human_size(file.size_bytes),
                    url,
                });
                let files: Vec<_> = files.collect();
                let more = u64::from(totals.count).saturating_sub(files.len() as u64);
                let rest = (more > 0).then(|| Rest {
                    count: grouped(more),
                    manifest_url,
                });
                Self {
                    title: format!("Your export of {data_type} is ready"),
                    preview: format!("{lead} The links work until {until}."),
                    lead,
                    download: None,
                    downloads: Some(Downloads { files, rest, until }),
                    facts: vec![
                        plain("Files", grouped(totals.count.into())),
                        plain("Rows", grouped(totals.rows)),
                        plain("Size", exact_size(totals.size_bytes)),
                    ],
                }
            }
            Outcome::Failed(failure) => Self {
                title: format!("Your export of {data_type} failed"),
                preview: failure.message.clone(),
                lead: failure.message.clone(),
                download: None,
                downloads: None,
                facts: vec![code("Error", failure.code.to_string())],
            },
        };
        view.facts.extend(asked_for(request));
        if !email.narrowed_to.is_empty() {
            let fields: Vec<_> = email.narrowed_to.fields().map(|(field, _)| field).collect();
            let narrowed = format!("the {} of your token", fields.join(", "));
            view.facts.push(plain("Narrowed to", narrowed));
        }
        view.facts.push(code("Job", email.job.to_string()));
        view
    }
}

fn result(file: &ExportedFile) -> String {
    let size = human_size(file.size_bytes);
    match file.rows {
        0 => format!("No row matched. The file is valid but has no rows ({size})."),
        1 => format!("1 row, {size}."),
        rows => format!("{} rows, {size}.", grouped(rows)),
    }
}

fn results(totals: &FileTotals) -> String {
    format!(
        "{} files, {} rows, {}.",
        grouped(totals.count.into()),
        grouped(totals.rows),
        human_size(totals.size_bytes)
    )
}

fn asked_for(request: &ExportRequest) -> [Fact; 6] {
    [
        plain("Data", request.data_type.to_string()),
        plain("Format", format(&request.output)),
        plain("From", time(request.range.start())),
        plain(
            "Until",
            format!("{} (not included)", time(request.range.end())),
        ),
        plain(
            "Filters",
            match &request.filters {
                Some(_) => "applied".to_owned(),
                None => "none".to_owned(),
            },
        ),
        plain(
            "Columns",
            match &request.columns {
                Some(columns) => columns.join(", "),
                None => "all".to_owned(),
            },
        ),
    ]
}

fn plain(label: &'static str, value: String) -> Fact {
    Fact {
        label,
        value,
        code: false,
    }
}

fn code(label: &'static str, value: String) -> Fact {
    Fact {
        label,
        value,
        code: true,
    }
}

fn format(output: &Output) -> String {
    let format = match output {
        Output::Csv { .. } => "CSV",
        Output::Json { options, .. } => match options.layout {
            JsonLayout::Lines => "JSON, one object per line",
            JsonLayout::Array => "JSON, one array",
        },
        Output::Parquet { .. } => "Parquet",
    };
    match output.compression() {
        Compression::None => format.to_owned(),
        compression => format!("{format}, compressed with {compression}"),
    }
}

fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.f UTC").to_string()
}

fn exact_size(bytes: u64) -> String {
    match bytes {
        0..1024 => human_size(bytes),
        _ => format!("{} ({} bytes)", human_size(bytes), grouped(bytes)),
    }
}

/// Writes a size with one decimal place, rounded down, in units of 1,024.
fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Writes a number with a comma between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{grouped, human_size};

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (74_800_000, "71.3 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
