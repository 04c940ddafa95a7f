"""Writing TOML: the standard library only reads it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def dumps(document: Mapping[str, Any]) -> str:
    """Write keys, then tables of one level; keys with None are left out.

    Examples
    --------
    >>> print(dumps({"data": "a.parquet", "weight": None, "params": {"alpha": 0.1}}))
    data = "a.parquet"
    <BLANKLINE>
    [params]
    alpha = 0.1
    <BLANKLINE>
    """
    tables = {key: value for key, value in document.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in document.items() if key not in tables}
    parts = [_lines(plain)]
    parts += [f"[{key}]\n{_lines(table)}" for key, table in tables.items() if table]
    return "\n".join(parts)


def _lines(table: Mapping[str, Any]) -> str:
    pairs = {key: value for key, value in table.items() if value is not None}
    return "".join(f"{key} = {_value(value)}\n" for key, value in pairs.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
