"""URLs of stores: as they are shown, and what of one tells where the store is."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

POSTGRESQL = ("postgresql://", "postgres://")
_PLACES = ("host", "hostaddr", "port", "dbname", "service")  # that a query may name

# To the last @: one in a password hides no less. A mistyped :// is no reason to show it.
_PASSWORD = re.compile(r"^([\w+.-]*+:?+/*+[^:@?]*+):.*@")
_NAMED_PASSWORD = re.compile(r"((?:^|[?&])\w*password=)[^&]*", re.IGNORECASE)


def shown_url(url: str) -> str:
    """The URL without its passwords, for messages and logs."""
    if url.startswith("sqlite:"):
        return url
    return _NAMED_PASSWORD.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url, count=1))


def place_of(url: str) -> str:
    """What of a URL tells where a store is: the same for whoever opens it, and however."""
    if not url.startswith(POSTGRESQL):
        return url
    authority, _, query = url.partition("://")[2].partition("?")
    user, _, server = authority.rpartition("@")
    hosts, _, database = server.partition("/")
    named = dict(each for each in parse_qsl(query) if each[0] in _PLACES)
    if not database and "dbname" not in named:
        named["dbname"] = user.partition(":")[0]  # which is the default
    where = f"postgresql://{hosts.lower()}/{database}"
    return f"{where}?{urlencode(sorted(named.items()))}" if named else where
