"""Takes an HTTP request apart the way a ClickHouse server does."""

import base64
import re
import uuid
from typing import Iterator
from urllib.parse import parse_qsl, urlsplit

from profiles import PROFILES

# URL parameters that steer the server's HTTP interface and are no settings of the engine.
_TRANSPORT = frozenset(
    "query query_id database default_format user password quota_key role session_id session_check "
    "session_timeout stacktrace wait_end_of_query buffer_size compress decompress "
    "client_protocol_version close_session".split()
)
_PIECE = 1 << 20

# What a server takes by default.
MAX_URI_SIZE = 1 << 20  # http_max_uri_size
MAX_FIELDS = 1_000_000  # http_max_fields, of headers and of forms
MAX_FIELD_SIZE = 128 << 10  # http_max_field_name_size and http_max_field_value_size


class TooLarge(Exception):
    """A part of a request that a server does not take."""


def check_fields(fields: Iterator[tuple]) -> None:
    """Checks names and values of a form, a URL or the headers, in bytes."""
    for number, (name, value) in enumerate(fields, 1):
        if number > MAX_FIELDS:
            raise TooLarge("Too many form fields")
        if len(name.encode()) > MAX_FIELD_SIZE:
            raise TooLarge("Field name too long")
        if len(value.encode()) > MAX_FIELD_SIZE:
            raise TooLarge("Field value too long")


class Body:
    """The request body, with a length or in chunks, read piece by piece."""

    def __init__(self, headers, stream):
        self._stream = stream
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._left = 0 if self._chunked else int(headers.get("Content-Length") or 0)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            if self._chunked and not self._left:
                self._left = int(self._stream.readline().split(b";")[0], 16)
                if not self._left:
                    self._chunked = False
                    while self._stream.readline().strip():
                        pass
            if not self._left:
                return
            piece = self._stream.read(min(self._left, _PIECE))
            if not piece:
                raise ConnectionError("the client hung up in the middle of the request body")
            self._left -= len(piece)
            if self._chunked and not self._left:
                self._stream.readline()
            yield piece

    def read(self) -> bytes:
        """Returns all that is left."""
        return b"".join(self)


def _form_fields(content_type: str, body: bytes) -> Iterator[tuple]:
    """Yields name and value of each field of a multipart/form-data body."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if not boundary:
        return
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if name:
            yield name.group(1).decode(), value.decode()


class Request:
    """What a client asks for: the query, its data, parameters, settings and identity."""

    def __init__(self, method: str, target: str, headers, body: Body):
        fields = parse_qsl(urlsplit(target).query, keep_blank_values=True, errors="strict")
        check_fields(fields)
        check_fields(headers.items())
        url = dict(fields)
        content_type = headers.get("Content-Type", "")
        if content_type.startswith("multipart/form-data"):
            fields = list(_form_fields(content_type, body.read()))
            check_fields(fields)
            fields = dict(fields)
            # A query in both places is one text, as when the body is plain.
            if "query" in url and "query" in fields:
                fields["query"] = url["query"] + "\n" + fields["query"]
            url.update(fields)
        self.query = url.get("query", "")
        self.body = body
        self.query_id = headers.get("X-ClickHouse-Query-Id") or url.get("query_id") or str(uuid.uuid4())
        self.database = headers.get("X-ClickHouse-Database") or url.get("database")
        self.format = headers.get("X-ClickHouse-Format") or url.get("default_format") or "TabSeparated"
        self.wait_end_of_query = url.get("wait_end_of_query") in ("1", "true")
        self.compressed = next((p for p in ("compress", "decompress") if url.get(p) in ("1", "true")), None)
        self.user, self.password = _credentials(url, headers)
        self.params = {k[len("param_") :]: v for k, v in url.items() if k.startswith("param_")}
        self.settings = {
            k: v for k, v in url.items() if k not in _TRANSPORT and not k.startswith("param_")
        }
        if method == "GET":
            # A GET changes nothing, whatever it says.
            self.settings.setdefault("readonly", "2")
        self.profile = PROFILES.get(self.user, {})
        if "forwards" in self.profile:
            self.settings = {k: v for k, v in self.settings.items() if k in self.profile["forwards"]}
        counts = {**self.profile.get("settings", {}), **self.settings}
        gzip = counts.get("enable_http_compression", "1") in ("1", "true") and "gzip" in headers.get("Accept-Encoding", "")
        self.gzip_level = int(counts.get("http_zlib_compression_level", "3")) if gzip else None


def _credentials(url: dict, headers) -> tuple:
    """Finds user and password in the ClickHouse headers, basic authentication or the URL."""
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", "")
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user, password
    return url.get("user", "default"), url.get("password", "")
