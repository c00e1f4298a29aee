"""Runs statements in chDB; results of any size leave through a named pipe."""

import contextlib
import fcntl
import itertools
import os
import re
import select
import tempfile
import threading
from typing import Iterator

import chdb

from errors import DBException
from request import Request
from sql import Insert, Select

# The size of the engine's own output buffer: it writes to the pipe in pieces of exactly this size.
BUFFER = 1 << 20


class Engine:
    """The engine with its data directory, shared by all sessions."""

    def __init__(self, path: str):
        self._path = path
        self._pipes = tempfile.mkdtemp(prefix="pipes-", dir=os.path.dirname(os.path.abspath(path)))
        self._pipe_numbers = itertools.count()
        self._running = set()
        self._lock = threading.Lock()
        # The engine lives as long as one connection does.
        self._anchor = chdb.connect(path)
        row = self._anchor.query("SELECT version(), hostName(), timezone()", "TSV").bytes()
        self.version, self.host, self.timezone = row.decode().strip().split("\t")

    @contextlib.contextmanager
    def session(self, request: Request) -> Iterator["Session"]:
        """Opens a connection with the request's database and settings, for one statement."""
        with self._lock:
            if request.query_id in self._running:
                message = f"Query with id = {request.query_id} is already running."
                raise DBException(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", message, self.version)
            self._running.add(request.query_id)
        connection = chdb.connect(self._path)
        try:
            yield Session(self, connection, request)
        except chdb.ChdbError as error:
            raise DBException.of(error, self.version) from error
        finally:
            connection.close()
            with self._lock:
                self._running.remove(request.query_id)

    def kill(self, query_id: str) -> None:
        """Asks a query to stop, if it runs."""
        with contextlib.closing(chdb.connect(self._path)) as connection:
            connection.query(f"KILL QUERY WHERE Settings['log_comment'] = {_literal(query_id)} ASYNC")

    def make_pipe(self) -> str:
        """Creates a named pipe and returns its path."""
        path = os.path.join(self._pipes, str(next(self._pipe_numbers)))
        os.mkfifo(path)
        return path


class Session:
    """One statement's connection to the engine."""

    def __init__(self, engine: Engine, connection, request: Request):
        self.engine = engine
        self._connection = connection
        self._request = request
        profile = request.profile
        if request.database:
            connection.query("USE `{}`".format(request.database.replace("\\", "\\\\").replace("`", "\\`")))
        # The engine numbers its queries itself, so the caller's id travels in this setting.
        self._set({**profile.get("settings", {}), "log_comment": request.query_id})
        settings = {name: value for name, value in request.settings.items() if name != "log_comment"}
        for name in settings:
            if name in profile.get("constant", ()):
                message = f"Setting {name} should not be changed"
                raise DBException(452, "SETTING_CONSTRAINT_VIOLATION", message, engine.version)
        self._set(settings)

    def _set(self, settings: dict) -> None:
        # Under readonly no further setting may change: it comes last.
        names = sorted(settings, key="readonly".__eq__)
        for name in names:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise DBException(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'.", self.engine.version)
        if names:
            self._connection.query("SET " + ", ".join(f"{name} = {_literal(settings[name])}" for name in names))

    def execute(self, sql: str):
        """Runs a statement whose result is small and returns chDB's result."""
        return self._connection.query(_with_callers_ids(sql), self._request.format, params=self._request.params)

    def insert(self, insert: Insert, data: Iterator[bytes]):
        """Inserts rows as they come and returns the counts of rows and bytes written."""
        try:
            with self._connection.send_insert(insert.head, insert.format) as inserter:
                for piece in data:
                    inserter.append(piece)
                return inserter.finish()
        except RuntimeError as error:
            raise DBException.of(error, self.engine.version) from error

    def select(self, query: Select) -> "Stream":
        """Starts a query; its result is read from the returned stream."""
        path = self.engine.make_pipe()
        sql = _with_callers_ids(query.head) + f"\nINTO OUTFILE {_literal(path)} APPEND\n" + query.tail

        def run() -> None:
            self._connection.query(sql, self._request.format, params=self._request.params)

        return Stream(path, run, lambda: self.engine.kill(self._request.query_id))


class Stream:
    """The bytes of a result, readable while the query runs."""

    def __init__(self, path: str, run, kill):
        self.error = None
        self._path = path
        self._kill = kill
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        # Held open until the query has ended, so that end of file means just that.
        self._writer = os.open(path, os.O_WRONLY)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._reader, fcntl.F_SETPIPE_SZ, BUFFER)
        self._thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        self._thread.start()

    def _work(self, run) -> None:
        try:
            run()
        except Exception as error:  # whatever it is, the reader must hear of it
            self.error = error
        finally:
            os.close(self._writer)

    def read_into(self, buffer: memoryview, client=None) -> int:
        """Reads the next bytes and returns how many came, 0 after the last.

        Raises ConnectionError when `client`, a socket, hangs up in the meantime.
        """
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        if client:
            poll.register(client, select.POLLRDHUP)
        ready = [fd for fd, _ in poll.poll()]
        if self._reader not in ready:
            raise ConnectionError("the client hung up")
        return os.readv(self._reader, [buffer])

    def close(self) -> None:
        """Ends the query if it still runs, waits for it, and removes the pipe."""
        while self._thread.is_alive():
            # It may be too early for the engine to know the query, so this is said until it ends.
            self._kill()
            if select.select([self._reader], [], [], 0.05)[0] and not os.read(self._reader, BUFFER):
                self._thread.join()
        os.close(self._reader)
        os.unlink(self._path)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _with_callers_ids(sql: str) -> str:
    """Lets statements about running queries know them by their callers' ids."""
    if re.match(r"\s*KILL\s", sql, re.IGNORECASE) or "system.processes" in sql:
        return re.sub(r"\bquery_id\b", "Settings['log_comment']", sql)
    return sql
