//! The `clickhouse` crate works with the gateway.

use anyhow::Result;
use clickhouse::{Client, Compression, Row};
use devstack::Env;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
struct Event {
    id: u64,
    text: String,
}

pub(super) fn client() -> Client {
    let env = Env::shared();
    Client::default()
        .with_url(&env.clickhouse_url)
        .with_user(&env.clickhouse_user)
        .with_password(&env.clickhouse_password)
        .with_database(&env.clickhouse_database)
}

#[tokio::test]
async fn parameters_arrive_as_they_are() -> Result<()> {
    for text in [
        "",
        "plain",
        "it's",
        "\"both\" 'quotes'",
        "back\\slash\\",
        "\\'; DROP TABLE x; --",
        "line\nbreak\r\n and\ttab",
        "--boundary\r\n\r\n",
        "ünïcødé 🚀",
        "\u{0}nul",
        "%41+&=#",
    ] {
        let query = client().query("SELECT {id:UInt64} AS id, {text:String} AS text");
        let event = query
            .param("id", u64::MAX)
            .param("text", text)
            .fetch_one::<Event>()
            .await?;
        assert_eq!(
            event,
            Event {
                id: u64::MAX,
                text: text.to_owned()
            }
        );
    }
    let query =
        client().query("SELECT count() FROM numbers(10) WHERE number IN {list:Array(UInt64)}");
    assert_eq!(
        query
            .param("list", vec![1, 3, 300])
            .fetch_one::<u64>()
            .await?,
        2
    );
    Ok(())
}

#[tokio::test]
async fn rows_go_in_and_come_out() -> Result<()> {
    let client = client().with_compression(Compression::None);
    let table = format!("events_{}", Uuid::new_v4().simple());
    let create =
        format!("CREATE TABLE {table} (id UInt64, text String) ENGINE = MergeTree ORDER BY id");
    client.query(&create).execute().await?;
    let events: Vec<_> = (0..1000)
        .map(|id| Event {
            id,
            text: format!("event\n'{id}'\u{1}"),
        })
        .collect();
    let mut insert = client.insert::<Event>(&table).await?;
    for event in &events {
        insert.write(event).await?;
    }
    insert.end().await?;
    client
        .query(&format!("INSERT INTO {table} VALUES (1000, 'a\\'b')"))
        .execute()
        .await?;

    let read = client.query(&format!("SELECT ?fields FROM {table} ORDER BY id"));
    let read = read.fetch_all::<Event>().await?;
    assert_eq!(read[..1000], events);
    assert_eq!(read[1000].text, "a'b");
    client
        .query(&format!("DROP TABLE {table}"))
        .execute()
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_compressed_insert_is_refused_and_says_why() -> Result<()> {
    let client = client();
    client
        .query("CREATE TABLE IF NOT EXISTS refused (id UInt64, text String) ENGINE = Memory")
        .execute()
        .await?;
    let client = client.with_compression(Compression::Lz4);
    let mut insert = client.insert::<Event>("refused").await?;
    insert
        .write(&Event {
            id: 1,
            text: String::new(),
        })
        .await?;
    let error = insert.end().await.unwrap_err().to_string();
    assert!(
        error.contains("decompress=1 is not offered here"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn errors_are_the_servers() -> Result<()> {
    let error = client()
        .query("SELECT * FROM nothing")
        .fetch_one::<u64>()
        .await
        .unwrap_err();
    let clickhouse::error::Error::BadResponse(text) = error else {
        panic!("{error:?}")
    };
    assert!(
        text.starts_with("Code: 60. DB::Exception: Unknown table"),
        "{text}"
    );

    // Some MiB go out before it fails.
    let mut stream = client()
        .query("SELECT number, throwIf(number = 5000000) FROM numbers(10000000)")
        .fetch_bytes("ArrowStream")?;
    let mut received = 0;
    let error = loop {
        match stream.next().await {
            Ok(Some(bytes)) => received += bytes.len(),
            Ok(None) => panic!("a result without its end was taken for whole"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(received > 1 << 20, "{received} bytes came");
    assert!(
        error.contains("FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        "{error}"
    );
    Ok(())
}
