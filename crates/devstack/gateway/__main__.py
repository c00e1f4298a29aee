"""An HTTP interface like a ClickHouse server's, in front of chDB.

    CLICKHOUSE_USER=… CLICKHOUSE_PASSWORD=… python3 gateway --port 8123 --data DIRECTORY

Answers to queries are gzip where `Accept-Encoding` and `enable_http_compression` ask for it, from their first
byte to an exception in their middle. Not offered: other compression of requests and responses (`compress`,
`decompress`), sessions (`session_id` is accepted and means nothing), external tables, users other than that one and
those of profiles.py.
"""

import argparse
import hmac
import http.client
import json
import os
import secrets
import string
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator

from engine import BUFFER, Engine, Session
from errors import DBException
from gzip0 import Gzip
from profiles import PROFILES
from request import MAX_FIELD_SIZE, MAX_FIELDS, MAX_URI_SIZE, Body, Request, TooLarge
from sql import first_word, is_single, split_insert, split_select

_CONTENT_TYPES = {
    "csv": "text/csv; charset=UTF-8",
    "json": "application/json; charset=UTF-8",
    "ndjson": "application/x-ndjson; charset=UTF-8",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "tsv": "text/tab-separated-values; charset=UTF-8",
}


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse-chDB-gateway"
    disable_nagle_algorithm = True
    engine: Engine
    credentials: tuple
    # `request` is the base class's name for the socket.
    asked: "Request | None" = None
    gzip: "Gzip | None" = None

    def handle_one_request(self) -> None:
        """Does what the base class does, for a URI as long as a server takes it."""
        try:
            self.raw_requestline = self.rfile.readline(MAX_URI_SIZE + 1)
            if len(self.raw_requestline) > MAX_URI_SIZE:
                self.requestline = self.request_version = self.command = ""
                self.send_error(400, "HTTP request URI invalid or too long")
                self.close_connection = True
            elif not self.raw_requestline:
                self.close_connection = True
            elif self.parse_request():
                getattr(self, f"do_{self.command}", lambda: self.send_error(501))()
                self.wfile.flush()
        except TimeoutError:
            self.close_connection = True

    def do_GET(self) -> None:
        """Answers probes, and queries that change nothing."""
        self.gzip = None
        url = urllib.parse.urlsplit(self.path)
        if url.path in ("/ping", "/replicas_status") or (url.path == "/" and not url.query):
            self.asked = None
            self._send(200, b"Ok.\n")
        else:
            self.do_POST()

    def do_POST(self) -> None:
        """Runs a statement."""
        self.started = time.monotonic()
        self.streaming = False
        self.asked = self.gzip = None
        body = Body(self.headers, self.rfile)
        try:
            try:
                request = self.asked = Request(self.command, self.path, self.headers, body)
                self._check(request)
                self._run(request)
            except TooLarge as error:
                message = f"Exception: {error}"
                raise DBException(1000, "POCO_EXCEPTION", message, self.engine.version) from error
            except ValueError as error:
                raise DBException(36, "BAD_ARGUMENTS", f"Malformed request: {error}", self.engine.version) from error
        except DBException as error:
            self._fail(error, body)
        except ConnectionError:
            self.close_connection = True

    def _check(self, request: Request) -> None:
        version = self.engine.version
        if urllib.parse.urlsplit(self.path).path != "/":
            raise DBException(60, "UNKNOWN_TABLE", f"There is no handle {self.path}", version)
        # Users with another profile have the same password.
        user = self.credentials[0] if request.user in PROFILES else request.user
        given = (user, request.password)
        if not all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, self.credentials)):
            message = (
                f"{request.user}: Authentication failed: password is incorrect, "
                "or there is no user with such name."
            )
            raise DBException(516, "AUTHENTICATION_FAILED", message, version)
        if request.compressed:
            message = f"{request.compressed}=1 is not offered here: use the client without compression"
            raise DBException(48, "NOT_IMPLEMENTED", message, version)

    def _run(self, request: Request) -> None:
        sql = request.query
        # Only an INSERT whose text came in the URL has a body of pure data, which then is not collected.
        if first_word(sql) != "INSERT" or not split_insert(sql):
            text = request.body.read()
            sql = "\n".join(filter(None, [sql, text.decode(errors="surrogateescape")]))
        with self.engine.session(request) as session:
            kind = first_word(sql)
            insert = split_insert(sql) if kind == "INSERT" else None
            if not kind or not (insert or is_single(sql)):
                message = "Syntax error (Multi-statements are not allowed)" if kind else "Syntax error: Empty query"
                raise DBException(62, "SYNTAX_ERROR", message, self.engine.version)
            if kind in ("SELECT", "WITH", "FROM", "("):
                self._stream(session, sql, request)
            elif insert:
                written = session.insert(insert, _data(sql[insert.data_at :], request.body))
                self._send(200, b"", written_rows=written.rows_written, written_bytes=written.bytes_written)
            else:
                result = session.execute(sql)
                body = result.bytes()
                # A server packs nothing into nothing.
                if body and request.gzip_level is not None:
                    self.gzip = Gzip(request.gzip_level)
                    body = b"".join(self.gzip.pack(body) + self.gzip.finish())
                counts = {"read_rows": result.rows_read(), "written_rows": result.rows_written()}
                self._send(200, body, format=request.format, **counts)

    def _stream(self, session: Session, sql: str, request: Request) -> None:
        """Relays a result in pieces of the engine's buffer, as a server does.

        What is shorter than one buffer is held back until the query has ended. So an early error has a
        status of its own, and the closing bytes with which chDB ends the document after a late one are dropped.
        """
        query = split_select(sql)
        format = query.format or request.format
        readonly = request.settings.get("readonly", "0") != "0"
        watch = readonly and request.settings.get("cancel_http_readonly_queries_on_client_close") in ("1", "true")
        stream = session.select(query)
        self.gzip = Gzip(request.gzip_level) if request.gzip_level is not None else None
        try:
            client = self.connection if watch else None
            # One buffer for all pieces: new ones cost more than the copying.
            held, length = bytearray(BUFFER), 0
            while read := stream.read_into(memoryview(held)[length:], client):
                length += read
                if length == len(held):
                    if request.wait_end_of_query:
                        held += bytes(length)
                    else:
                        self._send_chunk(memoryview(held), format)
                        length = 0
            if stream.error:
                raise stream.error
            rest = memoryview(held)[:length]
            if self.streaming:
                self._send_chunk(rest, format)
                if self.gzip:
                    self._write_chunk(*self.gzip.finish())
                self.wfile.write(b"0\r\n\r\n")
            else:
                # A server packs nothing into nothing.
                if not rest:
                    self.gzip = None
                body = b"".join(self.gzip.pack(rest) + self.gzip.finish() if self.gzip else [rest])
                self._send(200, body, format=format)
        finally:
            stream.close()

    def _send_chunk(self, piece: memoryview, format: str) -> None:
        if not self.streaming:
            self.streaming = True
            self.exception_tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
            self._head(200, format, {}, {
                "Transfer-Encoding": "chunked",
                "X-ClickHouse-Exception-Tag": self.exception_tag,
            })
        self._write_chunk(*(self.gzip.pack(piece) if self.gzip else [piece]))

    def _write_chunk(self, *pieces: "bytes | memoryview") -> None:
        if length := sum(map(len, pieces)):
            self._write(b"%x\r\n" % length, *pieces, b"\r\n")

    def _write(self, *pieces: "bytes | memoryview") -> None:
        """Writes pieces one behind the other, without putting them together first."""
        left = [memoryview(piece) for piece in pieces]
        while left:
            sent = self.connection.sendmsg(left)
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if left:
                left[0] = left[0][sent:]

    def _send(self, status: int, body: bytes, format: str = "TabSeparated", **counts: int) -> None:
        self._head(status, format, counts, {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _fail(self, error: DBException, body: Body) -> None:
        if self.streaming:
            # The chunked encoding stays without its end: no client can take this for a whole result.
            tag = self.exception_tag
            text = f"\r\n__exception__\r\n{tag}\r\n{error.text}{len(error.text.encode())} {tag}\r\n__exception__\r\n"
            self._send_chunk(memoryview(text.encode()), "")
            self.close_connection = True
            return
        self.gzip = None
        # The next request begins where this body ends.
        for _ in body:
            pass
        text = error.text.encode()
        headers = {"Content-Length": str(len(text)), "X-ClickHouse-Exception-Code": str(error.code)}
        self._head(error.status, "TabSeparated", {}, headers)
        self.wfile.write(text)

    def _head(self, status: int, format: str, counts: dict, headers: dict) -> None:
        self.send_response(status)
        if self.asked:
            summary = {name: "0" for name in ("read_rows", "read_bytes", "written_rows", "written_bytes")}
            summary.update((name, str(count)) for name, count in counts.items())
            summary["elapsed_ns"] = str(int((time.monotonic() - self.started) * 1e9))
            headers = {
                "X-ClickHouse-Query-Id": self.asked.query_id,
                "X-ClickHouse-Format": format,
                "X-ClickHouse-Summary": json.dumps(summary, separators=(",", ":")),
                **headers,
            }
        headers = {
            "Content-Type": _content_type(format),
            "X-ClickHouse-Server-Display-Name": self.engine.host,
            "X-ClickHouse-Timezone": self.engine.timezone,
            **({"Content-Encoding": "gzip"} if self.gzip else {}),
            **headers,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_request(self, code="-", size="-") -> None:
        """Logs method and status; the query and its values are the caller's business."""
        if self.asked:
            self.log_message("%s %s %s", self.command, code, self.asked.query_id)


def _content_type(format: str) -> str:
    name = format.lower()
    if name.startswith(("jsoneachrow", "jsoncompacteachrow", "jsonlines")):
        name = "ndjson"
    prefix = next((p for p in _CONTENT_TYPES if name.startswith(p)), None)
    return _CONTENT_TYPES[prefix] if prefix else "application/octet-stream"


def _data(inline: str, body: Body) -> Iterator[bytes]:
    """Yields the data of an INSERT: what stood behind its text, then the body."""
    # Data begins after the line of the statement, or after the blanks when it is on the same line.
    start = inline.lstrip(" \t\f\r")
    start = start.removeprefix("\n")
    if start:
        yield start.encode(errors="surrogateescape")
    yield from body


class Server(ThreadingHTTPServer):
    """One thread per connection."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address) -> None:
        """Keeps quiet about clients that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serves until it is killed."""
    arguments = argparse.ArgumentParser(description="ClickHouse's HTTP interface in front of chDB")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--data", required=True, help="data directory, created when missing")
    options = arguments.parse_args()
    # The limits of headers, which are those of a server's fields, in Python's terms.
    http.client._MAXHEADERS = MAX_FIELDS
    http.client._MAXLINE = 2 * MAX_FIELD_SIZE
    Handler.engine = Engine(options.data)
    Handler.credentials = (os.environ["CLICKHOUSE_USER"], os.environ["CLICKHOUSE_PASSWORD"])
    Server(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
