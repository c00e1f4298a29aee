//! Configuration: `config/default.toml` < a file < the environment, checked with all errors at once.
//!
//! The default file is the schema. A key that it does not have is unknown, and a value must be of
//! the type that the default has. `EXPORT__POSTGRES__URL` sets `postgres.url`. A key with `_file`
//! behind it names a file that holds the value, for secrets; where the default file has that key, too,
//! the path is kept, and the file is read again when the secret is refused. An empty text is the same as no value.
//! A table that the default file leaves empty takes any keys. A variable holds an array as it is
//! written in TOML.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

const DEFAULT: &str = include_str!("../../../config/default.toml");
const ENVIRONMENT_PREFIX: &str = "EXPORT__";

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong:")?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Reads the configuration of a binary: the defaults, then `file`, then the process environment.
///
/// # Errors
///
/// Every unknown key, every value of the wrong type, and the first value that `T` refuses.
pub fn load<T: DeserializeOwned>(file: Option<&Path>) -> Result<T, ConfigError> {
    load_from(DEFAULT, file, std::env::vars())
}

fn load_from<T: DeserializeOwned>(
    default: &str,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let mut layers = Layers {
        merged: default
            .parse()
            .map_err(|error: toml::de::Error| ConfigError {
                problems: vec![format!("default.toml: {error}")],
            })?,
        problems: Vec::new(),
    };
    if let Some(path) = file {
        layers.apply_file(path);
    }
    for (name, text) in environment {
        if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) {
            layers.apply_variable(&name, &key.to_ascii_lowercase(), text);
        }
    }
    layers.finish()
}

struct Layers {
    merged: Table,
    problems: Vec<String>,
}

impl Layers {
    fn apply_file(&mut self, path: &Path) {
        let parsed = fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| text.parse::<Table>().map_err(|error| error.to_string()));
        match parsed {
            Ok(table) => overlay(&mut self.merged, table, "", &mut self.problems),
            Err(error) => self.problems.push(format!("{}: {error}", path.display())),
        }
    }

    fn apply_variable(&mut self, name: &str, key: &str, text: String) {
        let mut path: Vec<&str> = key.split("__").collect();
        let Some(leaf) = path.pop() else { return };
        let table = path
            .into_iter()
            .try_fold(&mut self.merged, |table, section| {
                table.get_mut(section).and_then(Value::as_table_mut)
            });
        let result = match table {
            Some(table) => set(table, leaf, Value::String(text)),
            None => Err(UNKNOWN.to_owned()),
        };
        self.problems
            .extend(result.err().map(|problem| format!("{name}: {problem}")));
    }

    fn finish<T: DeserializeOwned>(mut self) -> Result<T, ConfigError> {
        drop_empty(&mut self.merged);
        let result = serde_path_to_error::deserialize(self.merged);
        let error = match result {
            Ok(config) if self.problems.is_empty() => return Ok(config),
            Ok(_) => None,
            Err(error) => Some(format!("{}: {}", error.path(), error.inner().message())),
        };
        self.problems.extend(error);
        Err(ConfigError {
            problems: self.problems,
        })
    }
}

const UNKNOWN: &str = "there is no such key";

fn overlay(base: &mut Table, over: Table, path: &str, problems: &mut Vec<String>) {
    for (key, value) in over {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) if !base.is_empty() => {
                overlay(base, over, &path, problems);
            }
            (_, value) => {
                let result = set(base, &key, value);
                problems.extend(result.err().map(|problem| format!("{path}: {problem}")));
            }
        }
    }
}

/// Sets `key`, or reads the file that `key`, which ends with `_file`, names.
fn set(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let is_known = if let Some(current) = table.get_mut(key) {
        *current = of_same_type(current, value.clone())?;
        true
    } else {
        false
    };
    // A value that is given goes before a file that was named earlier.
    if let Some(file) = table.get_mut(&format!("{key}_file")) {
        *file = Value::String(String::new());
    }
    if value.as_str().is_some_and(str::is_empty) && is_known {
        return Ok(());
    }
    let in_file = key.strip_suffix("_file").and_then(|key| table.get_mut(key));
    let (Some(current), Value::String(path)) = (in_file, value) else {
        return is_known.then_some(()).ok_or_else(|| UNKNOWN.to_owned());
    };
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    *current = of_same_type(current, Value::String(text.trim_end().to_owned()))?;
    Ok(())
}

fn of_same_type(current: &Value, value: Value) -> Result<Value, String> {
    let text = match value {
        value if value.same_type(current) => return Ok(value),
        Value::String(text) => text,
        _ => return Err(format!("must be of type {}", current.type_str())),
    };
    let parsed = match current {
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        Value::Array(_) => text.parse().ok().filter(Value::is_array),
        _ => None,
    };
    parsed.ok_or_else(|| format!("must be of type {}", current.type_str()))
}

fn drop_empty(table: &mut Table) {
    table.retain(|_, value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Table(table) => {
            drop_empty(table);
            true
        }
        _ => true,
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::path::PathBuf;

    use secrecy::{ExposeSecret, SecretString};
    use serde::Deserialize;

    use super::{ConfigError, load_from};

    const DEFAULT: &str = r#"
        [http]
        port = 80
        host = "localhost"
        [auth]
        secret = ""
        secret_file = ""
        strict = true
        audiences = []
        [auth.roles]
    "#;

    #[derive(Debug, Deserialize)]
    struct Config {
        http: Http,
        auth: Auth,
    }

    #[derive(Debug, Deserialize)]
    struct Http {
        port: u16,
        host: String,
    }

    #[derive(Debug, Deserialize)]
    struct Auth {
        secret: SecretString,
        secret_file: Option<PathBuf>,
        strict: bool,
        audiences: Vec<String>,
        roles: BTreeMap<String, Vec<String>>,
    }

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut path = tempfile::NamedTempFile::new().unwrap();
        path.write_all(file.as_bytes()).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_from(DEFAULT, Some(path.path()), environment)
    }

    #[test]
    fn later_layers_win() {
        let environment = [
            ("EXPORT__HTTP__PORT", "82"),
            ("EXPORT__AUTH__SECRET", "s"),
            ("EXPORT__AUTH__AUDIENCES", r#"["a", "b"]"#),
            ("HOME", "/"),
        ];
        let config = load(
            "[http]\nport = 81\nhost = \"h\"\n[auth]\nstrict = false",
            &environment,
        )
        .unwrap();
        assert_eq!((config.http.port, config.http.host.as_str()), (82, "h"));
        assert_eq!(
            (config.auth.secret.expose_secret(), config.auth.strict),
            ("s", false)
        );
        assert_eq!(config.auth.audiences, ["a", "b"]);
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let mut secret = tempfile::NamedTempFile::new().unwrap();
        secret.write_all(b"from a file\n").unwrap();
        let path = secret.path().to_str().unwrap();
        let config = load("", &[("EXPORT__AUTH__SECRET_FILE", path)]).unwrap();
        assert_eq!(config.auth.secret.expose_secret(), "from a file");
    }

    #[test]
    fn a_value_goes_before_a_file_that_was_named_earlier() {
        let mut secret = tempfile::NamedTempFile::new().unwrap();
        secret.write_all(b"from a file\n").unwrap();
        let path = secret.path();
        let file = format!("[auth]\nsecret_file = {path:?}");
        let config = load(&file, &[]).unwrap();
        assert_eq!(config.auth.secret.expose_secret(), "from a file");
        assert_eq!(config.auth.secret_file.as_deref(), Some(path));
        let config = load(&file, &[("EXPORT__AUTH__SECRET", "s")]).unwrap();
        assert_eq!(config.auth.secret.expose_secret(), "s");
        assert_eq!(config.auth.secret_file, None);
        let config = load("[auth]\nsecret = \"s\"\nsecret_file = \"\"", &[]).unwrap();
        assert_eq!(config.auth.secret.expose_secret(), "s");
    }

    #[test]
    fn an_empty_table_takes_any_keys() {
        let secret = [("EXPORT__AUTH__SECRET", "s")];
        assert!(load("", &secret).unwrap().auth.roles.is_empty());
        let config = load("[auth.roles]\nviewer = [\"read\"]", &secret).unwrap();
        assert_eq!(config.auth.roles["viewer"], ["read"]);
    }

    #[test]
    fn a_variable_holds_an_array() {
        for text in ["10.0.0.0/8", "7", "[1", "{}"] {
            let environment = [("EXPORT__AUTH__AUDIENCES", text)];
            let error = load("", &environment).unwrap_err().to_string();
            let problem = "EXPORT__AUTH__AUDIENCES: must be of type array";
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let file = "[http]\nport = true\ncolour = 1\n[nowhere]\nx = 1";
        let error = load(file, &[("EXPORT__HTTP__PORT", "x"), ("EXPORT__A__B", "1")]).unwrap_err();
        let problems = [
            "http.colour: there is no such key",
            "http.port: must be of type integer",
            "nowhere: there is no such key",
            "EXPORT__HTTP__PORT: must be of type integer",
            "EXPORT__A__B: there is no such key",
            "auth: missing field `secret`",
        ];
        assert_eq!(
            error.to_string(),
            format!("the configuration is wrong:\n  {}", problems.join("\n  "))
        );
    }
}
