//! Requests, headers, logins, settings and errors before the first byte.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Gateway;

#[tokio::test]
async fn answers_say_what_they_are() -> Result<()> {
    let gateway = Gateway::shared()?;
    let ping = gateway
        .http
        .get(format!("{}/ping", gateway.url))
        .send()
        .await?;
    assert_eq!(ping.text().await?, "Ok.\n");

    let parameters = [("query_id", "answers-1"), ("default_format", "JSONEachRow")];
    let response = gateway
        .run("SELECT 1 AS x, version() != '' AS y", &parameters)
        .await?;
    let header = |name| response.headers()[name].to_str().unwrap();
    assert_eq!(header("X-ClickHouse-Query-Id"), "answers-1");
    assert_eq!(header("X-ClickHouse-Format"), "JSONEachRow");
    assert_eq!(header("X-ClickHouse-Timezone"), "UTC");
    assert!(!header("X-ClickHouse-Server-Display-Name").is_empty());
    assert!(header("X-ClickHouse-Summary").contains("\"read_rows\":"));
    assert_eq!(
        header("Content-Type"),
        "application/x-ndjson; charset=UTF-8"
    );
    assert_eq!(response.text().await?, "{\"x\":1,\"y\":1}\n");

    let response = gateway
        .run("SELECT 1 -- a comment\nFORMAT CSVWithNames;", &[])
        .await?;
    assert_eq!(response.headers()["X-ClickHouse-Format"], "CSVWithNames");
    assert_eq!(response.text().await?, "\"1\"\n1\n");
    assert_eq!(
        gateway.text("SELECT 'FORMAT', 1 AS format", &[]).await?,
        "FORMAT\t1\n"
    );
    assert_eq!(gateway.text("", &[("query", "SELECT 2")]).await?, "2\n");
    assert_eq!(gateway.text("+ 1", &[("query", "SELECT 2")]).await?, "3\n");
    assert_eq!(
        gateway
            .text("SELECT currentDatabase()", &[("database", "system")])
            .await?,
        "system\n"
    );
    Ok(())
}

#[tokio::test]
async fn only_the_right_password_opens() -> Result<()> {
    let gateway = Gateway::shared()?;
    let (user, password) = (gateway.user.as_str(), gateway.password.as_str());
    for (password, status) in [(password, StatusCode::OK), ("wrong", StatusCode::FORBIDDEN)] {
        let request = || gateway.http.post(&gateway.url).body("SELECT 1");
        let url = format!("{}/?user={user}&password={password}", gateway.url);
        for request in [
            request()
                .header("X-ClickHouse-User", user)
                .header("X-ClickHouse-Key", password),
            request().basic_auth(user, Some(password)),
            gateway.http.post(url).body("SELECT 1"),
        ] {
            let response = request.send().await?;
            assert_eq!(response.status(), status);
            if status == StatusCode::FORBIDDEN {
                assert_eq!(response.headers()["X-ClickHouse-Exception-Code"], "516");
                let text = response.text().await?;
                assert!(
                    text.starts_with("Code: 516. DB::Exception: default: Authentication failed")
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn errors_before_the_first_byte_have_a_status() -> Result<()> {
    let gateway = Gateway::shared()?;
    for (sql, parameters, status, code, text) in [
        ("", &[][..], 400, "62", "Empty query"),
        ("SELEC 1", &[], 400, "62", "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", &[], 400, "62", "SYNTAX_ERROR"),
        ("SELECT * FROM nothing", &[], 404, "60", "nothing"),
        ("SELECT nothing", &[], 404, "47", "nothing"),
        (
            "SELECT 1",
            &[("nothing", "1")],
            404,
            "115",
            "Unknown setting 'nothing'",
        ),
        ("SELECT 1", &[("database", "nothing")], 404, "81", "nothing"),
        ("SELECT 1 FORMAT Nothing", &[], 404, "73", "Nothing"),
        ("SELECT {x:UInt8}", &[], 500, "456", "`x`"),
        (
            "SELECT {x:UInt8}",
            &[("param_x", "a")],
            500,
            "457",
            "BAD_QUERY_PARAMETER",
        ),
        (
            "SELECT number, throwIf(number = 9999) FROM numbers(10000) FORMAT JSON",
            &[],
            500,
            "395",
            "throwIf",
        ),
        (
            "CREATE TABLE t (a Int8) ENGINE = Memory",
            &[("readonly", "1")],
            500,
            "164",
            "READONLY",
        ),
        (
            "SELECT 1",
            &[("compress", "1")],
            501,
            "48",
            "without compression",
        ),
        (
            "SELECT 1",
            &[("max_result_rows", "many")],
            400,
            "27",
            "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
        ),
    ] {
        let response = gateway.run(sql, parameters).await?;
        assert_eq!(response.status().as_u16(), status, "{sql} {parameters:?}");
        assert_eq!(
            response.headers()["X-ClickHouse-Exception-Code"],
            code,
            "{sql}"
        );
        let said = response.text().await?;
        assert!(
            said.starts_with(&format!("Code: {code}. DB::Exception: ")),
            "{said}"
        );
        assert!(said.contains(text), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn settings_hold_for_one_query() -> Result<()> {
    let gateway = Gateway::shared()?;
    let threads = "SELECT getSetting('max_threads')";
    let default = gateway.text(threads, &[]).await?;
    assert_eq!(gateway.text(threads, &[("max_threads", "7")]).await?, "7\n");
    assert_eq!(gateway.text(threads, &[]).await?, default);

    let as_an_export_reads = [
        ("readonly", "2"),
        ("http_send_timeout", "3600"),
        ("cancel_http_readonly_queries_on_client_close", "1"),
        ("max_execution_time", "60"),
        ("max_block_size", "8192"),
        ("result_overflow_mode", "throw"),
        ("wait_end_of_query", "0"),
        ("session_id", "s"),
        ("query_id", "settings-1"),
    ];
    assert_eq!(gateway.text("SELECT 1", &as_an_export_reads).await?, "1\n");
    let sql = "SELECT number FROM numbers(10)";
    let refused = gateway.run(sql, &[("max_result_rows", "5")]).await?;
    assert_eq!(refused.headers()["X-ClickHouse-Exception-Code"], "396");
    Ok(())
}

#[tokio::test]
async fn a_get_changes_nothing() -> Result<()> {
    let gateway = Gateway::shared()?;
    let get = async |query: &str| {
        let request = gateway.http.request(Method::GET, &gateway.url);
        let request = request.basic_auth(&gateway.user, Some(&gateway.password));
        let mut request = request.build()?;
        request
            .url_mut()
            .query_pairs_mut()
            .append_pair("query", query);
        anyhow::Ok(gateway.http.execute(request).await?)
    };
    assert_eq!(get("SELECT 'it''s'").await?.text().await?, "it\\'s\n");
    let response = get("CREATE TABLE changed (a Int8) ENGINE = Memory").await?;
    assert_eq!(response.headers()["X-ClickHouse-Exception-Code"], "164");
    Ok(())
}

/// What is larger than a server takes by default is refused here, too.
#[tokio::test]
async fn requests_are_as_large_as_a_server_takes_them() -> Result<()> {
    let gateway = Gateway::shared()?;
    let longest = "x".repeat(131_072);
    let longer = format!("{longest}x");
    let sql = "SELECT length({text:String})";
    for (text, status, said) in [
        (&longest, StatusCode::OK, "131072\n"),
        (
            &longer,
            StatusCode::INTERNAL_SERVER_ERROR,
            "(POCO_EXCEPTION)",
        ),
    ] {
        let form = reqwest::multipart::Form::new().text("query", sql);
        let form = form.text("param_text", text.clone());
        let response = gateway.post("").multipart(form).send().await?;
        assert_eq!(response.status(), status);
        let told = response.text().await?;
        assert!(told.contains(said), "{told}");
    }
    let header = gateway.post("SELECT 1").header("X-Much", &longer);
    let response = header.send().await?;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);

    // Clients of HTTP have limits of their own for an URI.
    let address = gateway.url.trim_start_matches("http://");
    let (user, password) = (&gateway.user, &gateway.password);
    let login = format!("user={user}&password={password}&query=SELECT%201");
    for (bytes, answer) in [(1_000_000, "HTTP/1.1 200"), (1_048_577, "HTTP/1.1 400")] {
        let fields = format!("&param_text={longest}").repeat(bytes / longest.len());
        let rest = "x".repeat(bytes % longest.len());
        let uri = format!("/?{login}{fields}&param_text={rest}");
        let mut connection = TcpStream::connect(address).await?;
        let request = format!("POST {uri} HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        connection.read_exact(&mut status).await?;
        assert_eq!(String::from_utf8_lossy(&status), answer, "{bytes}");
    }
    Ok(())
}
