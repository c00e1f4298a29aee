"""Reads just enough SQL to know where a result format or inline data begins."""

import re
from typing import Iterator, NamedTuple, Optional

_TOKEN = re.compile(
    r"""
      (?P<blank> \s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )
    | (?P<quoted> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*` | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<word> [A-Za-z_]\w* )
    | (?P<other> \d\w* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = "([{", ")]}"


class Token(NamedTuple):
    """A token outside of all brackets."""

    text: str
    word: str
    start: int
    end: int


def top_level(sql: str) -> Iterator[Token]:
    """Yields the tokens that stand outside of brackets, lazily; a bracketed group is skipped."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        text = match.group()
        if match.lastgroup == "blank":
            continue
        if text in _OPENING:
            depth += 1
            if depth == 1:
                yield Token(text, "", match.start(), match.end())
        elif text in _CLOSING:
            depth -= 1
        elif depth == 0:
            word = text.upper() if match.group("word") else ""
            yield Token(text, word, match.start(), match.end())


def first_word(sql: str) -> str:
    """Returns the first word in upper case, or the bracket before a parenthesised SELECT."""
    token = next(top_level(sql), None)
    return (token.word or token.text) if token else ""


def is_single(sql: str) -> bool:
    """Says whether nothing follows the first semicolon."""
    tokens = top_level(sql)
    return all(token.text != ";" for token in tokens) or next(tokens, None) is None


class Select(NamedTuple):
    """A query that returns rows, cut where INTO OUTFILE belongs."""

    head: str
    tail: str
    format: Optional[str]


def split_select(sql: str) -> Select:
    """Cuts a SELECT before its FORMAT clause, or at its end when it has none."""
    tokens = list(top_level(sql))
    end = len(sql)
    if tokens and tokens[-1].text == ";":
        end = tokens.pop().start
    for index in range(len(tokens) - 1, 0, -1):
        if tokens[index].word != "FORMAT" or index + 1 == len(tokens) or not tokens[index + 1].word:
            continue
        after = tokens[index + 2 :]
        if not after or after[0].word == "SETTINGS":
            cut = tokens[index].start
            return Select(sql[:cut], sql[cut:end], tokens[index + 1].text)
    return Select(sql[:end], "", None)


class Insert(NamedTuple):
    """An INSERT that brings its own data."""

    head: str
    format: str
    data_at: int


def split_insert(sql: str) -> Optional[Insert]:
    """Cuts an INSERT before its data; None when the rows come from a SELECT."""
    tokens = top_level(sql)
    for token in tokens:
        if token.word in ("SELECT", "WITH"):
            return None
        if token.word == "VALUES":
            return Insert(sql[: token.start], "Values", token.end)
        if token.word == "FORMAT":
            name = next(tokens, None)
            return Insert(sql[: token.start], name.text, name.end) if name else None
    return None
