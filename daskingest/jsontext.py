"""JSON texts: their values, and what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

from daskingest.articles import Unusable


def json_value(text: str, **hooks: Any) -> object:
    """The value of a JSON text; `hooks` are those of `json.loads`. Raises Unusable."""
    try:
        value: object = json.loads(text, **hooks)
    except json.JSONDecodeError as error:
        raise Unusable("not JSON", f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Unusable("not JSON", "nested too deeply") from None
    except Unusable:
        raise
    except ValueError:
        raise Unusable("not JSON", "a number of too many digits") from None
    return value
