"""Records, and the faults that models make when they write them as JSON."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

Record = dict[str, Any]
Fault = Callable[[Record, random.Random], str | None]
"""Makes a faulty text of a record; None where the record has no place for the fault."""

_WORDS = (
    *("Oslo", "a b", "it's", 'say "hi"', "C:\\dir", "x, y", "a: b", "{z}", "[1]", "d\u00e9j\u00e0"),
    *("http://x.y/z?a=1#b", "100%", "12 kg", "", "true", "null", "// no", "line", "\u201cq\u201d"),
)
_KEYS = ("name", "age", "city", "tags", "note", "size", "is_new", "address", "score", "id")


def record_of(chance: random.Random) -> Record:
    """A record of three to six fields, whose texts hold signs that JSON knows, too."""
    keys = chance.sample(_KEYS, chance.randint(3, 6))
    return {key: _value(chance, depth=2) for key in keys}


def _value(chance: random.Random, depth: int) -> Any:
    kinds = ["text", "text", "number", "float", "flag", "none"] + ["list", "record"] * (depth > 0)
    kind = chance.choice(kinds)
    if kind == "text":
        return chance.choice(_WORDS)
    if kind == "number":
        return chance.randint(-999, 99_999)
    if kind == "float":
        return round(chance.uniform(-50, 50), 2)
    if kind == "flag":
        return chance.random() < 0.5
    if kind == "none":
        return None
    if kind == "list":
        return [_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    keys = chance.sample(_KEYS, chance.randint(1, 3))
    return {key: _value(chance, depth - 1) for key in keys}


def written(record: Record, chance: random.Random) -> str:
    """A record as JSON, on one line or on several."""
    return json.dumps(record, indent=chance.choice((None, 2)), ensure_ascii=chance.random() < 0.3)


def _in_prose(record: Record, chance: random.Random) -> str:
    before = chance.choice(("Sure! Here is it: ", "The record is\n", "As asked [1], "))
    return f"{before}{written(record, chance)}{chance.choice(('', ' I hope this helps.'))}"


def _in_fence(record: Record, chance: random.Random) -> str:
    mark = chance.choice(("```", "~~~"))
    return f"Here:\n{mark}{chance.choice(('json', ''))}\n{written(record, chance)}\n{mark}\nDone."


def _after_thought(record: Record, chance: random.Random) -> str:
    return f"<think>Maybe {{}}? No.</think>\n{written(record, chance)}"


def _byte_order_mark(record: Record, chance: random.Random) -> str:
    return f"\ufeff{written(record, chance)}"


def _trailing_comma(record: Record, chance: random.Random) -> str:
    text = written(record, chance)
    return f"{text[:-1].rstrip()},{text[-1]}"


def _comment(record: Record, chance: random.Random) -> str:
    text = json.dumps(record, indent=2)
    first, _, rest = text.partition("\n")
    return f"{first}  {chance.choice(('// the record', '# the record', '/* it */'))}\n{rest}"


def _python_words(record: Record, chance: random.Random) -> str | None:
    text = re.sub(r'("(?:[^"\\]|\\.)*")|\b(true|false|null)\b', _as_python, json.dumps(record))
    return text if text != json.dumps(record) else None


def _as_python(match: re.Match[str]) -> str:
    return match[1] or {"true": "True", "false": "False", "null": "None"}[match[2]]


def _python_record(record: Record, chance: random.Random) -> str | None:
    """As Python's repr writes it, with the quotation marks that each text wants."""
    text = repr(record)
    return None if "\\" in text else text


def _curly_quotes(record: Record, chance: random.Random) -> str | None:
    text = json.dumps(record, ensure_ascii=False)
    if "\\" in text or "\u201c" in text:
        return None
    return re.sub(r'"([^"]*)"', "\u201c\\1\u201d", text)


def _bare_keys(record: Record, chance: random.Random) -> str:
    return re.sub(r'("(?:[^"\\]|\\.)*")(\s*:)?', _bare_key, json.dumps(record))


def _bare_key(match: re.Match[str]) -> str:
    return f"{match[1][1:-1]}{match[2]}" if match[2] else match[1]


def _raw_line_break(record: Record, chance: random.Random) -> str:
    return json.dumps(record | {"note": "one\ntwo"}).replace("\\n", "\n", 1)


def _missing_comma(record: Record, chance: random.Random) -> str | None:
    lines = json.dumps(record, indent=2).split("\n")
    places = [i for i, line in enumerate(lines) if line.startswith("  ") and line.endswith('",')]
    places = [i for i in places if lines[i + 1].lstrip().startswith('"') and '":' in lines[i + 1]]
    if not places:
        return None
    place = chance.choice(places)
    lines[place] = lines[place][:-1]
    return "\n".join(lines)


def _missing_closer(record: Record, chance: random.Random) -> str | None:
    """Without the last bracket, where none but the last one can be missing."""
    text = json.dumps(record)[:-1]
    last = list(record.values())[-1]
    may_end_earlier = isinstance(last, dict) and (len(last) > 1 or _holds_records(last))
    return None if may_end_earlier or re.search(r"[0-9]\Z", text) else text


def _holds_records(record: Record) -> bool:
    return any(isinstance(value, dict) for value in record.values())


def _lost_bracket(record: Record, chance: random.Random) -> str | None:
    """Without a bracket of a record within: what comes after it may belong to either."""
    keys = [key for key, value in list(record.items())[:-1] if isinstance(value, dict)]
    if not keys:
        return None
    inner = json.dumps(record[chance.choice(keys)])
    return json.dumps(record).replace(f"{inner},", f"{inner[:-1]},", 1)


def _lone_backslash(record: Record, chance: random.Random) -> str:
    return json.dumps(record | {"note": "PLACE"}).replace("PLACE", r"\d+ \w")


MENDABLE: Mapping[str, Fault] = {
    "other text around it": _in_prose,
    "in a fence": _in_fence,
    "after a thought": _after_thought,
    "byte order mark": _byte_order_mark,
    "trailing comma": _trailing_comma,
    "comment": _comment,
    "True, False, None": _python_words,
    "as Python writes it": _python_record,
    "curly quotation marks": _curly_quotes,
    "bare keys": _bare_keys,
    "line break in a text": _raw_line_break,
    "missing comma": _missing_comma,
    "missing last bracket": _missing_closer,
    "backslash of a pattern": _lone_backslash,
}
"""Faults that lose nothing."""


def _cut_number(record: Record, chance: random.Random) -> str:
    others = {key: value for key, value in record.items() if key != "size"}
    return json.dumps({**others, "size": 12_990})[: -chance.randint(2, 4)]


def _cut_anywhere(record: Record, chance: random.Random) -> str:
    text = json.dumps(record)
    return text[: chance.randint(1, len(text) - 1)]


def _inner_quote(record: Record, chance: random.Random) -> str:
    return json.dumps(record | {"note": "PLACE"}).replace("PLACE", 'a 32" wide one')


def _missing_quote(record: Record, chance: random.Random) -> str:
    return json.dumps(record | {"note": "some words"}).replace('"some words"', 'some words"')


def _two_records(record: Record, chance: random.Random) -> str:
    return f"{json.dumps(record | {'id': 1})}\n{json.dumps(record | {'id': 2})}"


def _twin_key(record: Record, chance: random.Random) -> str:
    return f'{{"id": 7, {json.dumps(record | {"id": 8})[1:]}'


def _unit(record: Record, chance: random.Random) -> str:
    unit = chance.choice(("%", " kg", ":30", "O", " + 1"))
    return json.dumps(record | {"size": 12}).replace('"size": 12', f'"size": 12{unit}')


def _no_value(record: Record, chance: random.Random) -> str:
    return json.dumps(record | {"size": 12}).replace('"size": 12', '"size": ')


def _aside(record: Record, chance: random.Random) -> str:
    return json.dumps(record | {"size": 12}).replace('"size": 12', 'NOTE "size": 12')


LOSSY: Mapping[str, Fault] = {
    "cut in a number": _cut_number,
    "cut anywhere": _cut_anywhere,
    "quotation mark in a text": _inner_quote,
    "missing quotation mark": _missing_quote,
    "two records": _two_records,
    "a key twice": _twin_key,
    "a number with a unit": _unit,
    "no value": _no_value,
    "a word in between": _aside,
    "a bracket within": _lost_bracket,
}
"""Faults that lose something, or leave two readings."""
