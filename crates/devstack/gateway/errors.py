"""Exceptions of the engine and the HTTP status that a ClickHouse server gives them."""

import re

# From src/Server/HTTP/exceptionCodeToHTTPStatus.cpp; everything else is 500.
_STATUS = {
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    503: (76, 209, 439),
}
_STATUS_OF = {code: status for status, codes in _STATUS.items() for code in codes}
_TEXT = re.compile(r"Code: (?P<code>\d+)\. DB::Exception: (?P<message>.*) \((?P<name>[A-Z][A-Z_0-9]+)\)", re.DOTALL)


class DBException(Exception):
    """An error with ClickHouse's number, name and text."""

    def __init__(self, code: int, name: str, message: str, version: str):
        super().__init__(message)
        self.code = code
        self.text = f"Code: {code}. DB::Exception: {message} ({name}) (version {version} (official build))\n"

    @classmethod
    def of(cls, error: Exception, version: str) -> "DBException":
        """Makes one from an exception that chDB raised."""
        match = _TEXT.search(str(error))
        # chDB wraps messages in each other; the innermost is the one that a server sends.
        while match and (inner := _TEXT.match(match["message"])):
            match = inner
        if not match:
            return cls(1002, "UNKNOWN_EXCEPTION", str(error), version)
        return cls(int(match["code"]), match["name"], match["message"], version)

    @property
    def status(self) -> int:
        """The HTTP status of a response that holds nothing but this error."""
        return _STATUS_OF.get(self.code, 500)
