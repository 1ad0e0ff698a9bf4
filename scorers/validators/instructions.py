"""Instructions that a program can check, as in IFEval (Zhou et al. 2023, arXiv 2311.07911)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Query
from nbest.scorers.validators.rules import Flags, Of, checked_texts, flags_of

Settings = Mapping[str, Any]
Check = Callable[[str, Settings], bool]

RESPONSES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowsInstructions:
    """The text follows all instructions that its question brings.

    `meta[ids]` is a list of IFEval's names, as `punctuation:no_comma`, and `meta[settings]` one
    mapping for each with what it asks for, as `{"num_words": 100, "relation": "at least"}`. With
    `loose` a text counts without its first line, its last line, and its asterisks as well.

    InputError where an instruction is none of those here: `language:response_language` takes a
    model to check. Two things are not as in the authors' code, which takes NLTK: sentences end at
    `.`, `!` or `?` before a space, and words in capitals are parted at what is no letter, digit,
    apostrophe or hyphen. Nobody checks that a text in capitals is English.

    Example: `FirstValid(rule=FollowsInstructions())` on rows in the format of google/IFEval
    """

    ids: str = "instruction_id_list"
    settings: str = "kwargs"
    loose: bool = False
    of: Of = "text"

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        checks = self._checks_for(query)
        texts = checked_texts(candidates, self.of)
        verdicts = {text: self._follows(text, checks) for text in texts if text is not None}
        return flags_of(texts, verdicts)

    def _follows(self, text: str, checks: list[tuple[Check, Settings]]) -> bool:
        forms = loose_forms(text) if self.loose else [text]
        return all(
            any(form.strip() and check(form, settings) for form in forms)
            for check, settings in checks
        )

    def _checks_for(self, query: Query) -> list[tuple[Check, Settings]]:
        names, settings = query.meta.get(self.ids), query.meta.get(self.settings)
        if not isinstance(names, list | tuple) or not names:
            raise InputError(f"meta[{self.ids!r}] must name instructions, got {names!r}")
        if not isinstance(settings, list | tuple) or len(settings) != len(names):
            rule = f"have a mapping for each of {len(names)} instructions"
            raise InputError(f"meta[{self.settings!r}] must {rule}, got {settings!r}")
        unknown = [name for name in names if name not in CHECKS]
        if unknown:
            raise InputError(f"meta[{self.ids!r}] must name instructions known here, got {unknown}")
        # Tables have every key in every mapping, with nothing where it is not meant.
        given = [{k: v for k, v in (one or {}).items() if v is not None} for one in settings]
        return [(_careful(CHECKS[name], name), one) for name, one in zip(names, given, strict=True)]


def _careful(check: Check, name: str) -> Check:
    """The check, which says what a setting lacks."""

    def checked(text: str, settings: Settings) -> bool:
        try:
            return check(text, settings)
        except (KeyError, TypeError) as error:
            rule = "have the settings that the instruction asks for"
            raise InputError(f"{name} must {rule}, got {dict(settings)!r}") from error

    return checked


def loose_forms(text: str) -> list[str]:
    """The text, and without its first line, its last line, both, and each without asterisks."""
    lines = text.split("\n")
    cuts = [lines, lines[1:], lines[:-1], lines[1:-1]]
    forms = ["\n".join(cut).strip() for cut in cuts]
    return [text, *forms, *(form.replace("*", "") for form in forms)]


def holds(count: int, wanted: int, relation: str) -> bool:
    """Whether a count is what a relation asks for: `at least` or `less than`."""
    if relation == "at least":
        return count >= wanted
    if relation == "less than":
        return count < wanted
    raise InputError(f"relation must be 'at least' or 'less than', got {relation!r}")


def _found(word: str, text: str) -> int:
    return len(re.findall(re.escape(word), text, re.IGNORECASE))


def _has_word(word: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def _sentences(text: str) -> int:
    parts = re.split(r"(?<=[.!?])[\"')\]]*\s+", text.strip())
    return sum(bool(re.search(r"\w", part)) for part in parts)


def _paragraphs(text: str, settings: Settings) -> bool:
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    inner = parts[1:-1] if len(parts) > 1 else []
    count = sum(map(bool, parts))
    return all(inner) and count == settings["num_paragraphs"]


def _first_word(text: str, settings: Settings) -> bool:
    """The nth of all parts, of which empty ones do not count as paragraphs."""
    parts = text.split("\n\n")
    nth = settings["nth_paragraph"]
    count = sum(bool(part.strip()) for part in parts)
    if count != settings["num_paragraphs"] or not 1 <= nth <= count:
        return False
    words = parts[nth - 1].split()
    if not words:
        return False
    first = re.split(r"[.,?!'\"]", words[0].lstrip("'\""))[0]
    return bool(first.lower() == settings["first_word"].lower())


def _postscript(text: str, settings: Settings) -> bool:
    marker = settings["postscript_marker"].strip().lower()
    if marker == "p.p.s":
        pattern = r"p\.\s?p\.\s?s"
    elif marker == "p.s.":
        pattern = r"p\.\s?s\."
    else:
        pattern = re.escape(marker)
    return re.search(pattern, text.lower()) is not None


def _bullets(text: str) -> int:
    return len(re.findall(r"^[ \t]*(?:\*[^*]|-).*$", text, re.MULTILINE))


def _highlights(text: str) -> int:
    """Those in single and in double asterisks are found apart, and added up, as the authors do."""
    single = re.findall(r"\*[^\n*]*\*", text)
    double = re.findall(r"\*\*[^\n*]*\*\*", text)
    return sum(bool(part.strip("*").strip()) for part in (*single, *double))


def _sections(text: str, settings: Settings) -> int:
    marker = re.escape(settings["section_spliter"].strip())
    return len(re.findall(rf"{marker}\s?\d+", text))


def _placeholders(text: str) -> int:
    """How many texts in square brackets there are; read once, whatever stands in them."""
    count, is_open = 0, False
    for sign in text:
        if sign == "\n":
            is_open = False
        elif sign == "[":
            is_open = True
        elif sign == "]" and is_open:
            count, is_open = count + 1, False
    return count


def _is_json(text: str) -> bool:
    bare = re.sub(r"^```(?:json)?", "", text.strip(), flags=re.IGNORECASE).removesuffix("```")
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    if len(parts) > 2:  # an empty one at an end is none
        parts = [part for i, part in enumerate(parts) if part or 0 < i < len(parts) - 1]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _has_title(text: str) -> bool:
    """Whether a line holds `<<something>>`."""
    for line in text.split("\n"):
        start = line.find("<<")
        end = line.rfind(">>")
        if start >= 0 and end > start + 2 and line[start + 2 : end].strip("<> "):
            return True
    return False


def _is_quoted(text: str) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare.startswith('"') and bare.endswith('"')


def _capital_words(text: str) -> int:
    return sum(word.isupper() for word in re.findall(r"[\w'-]+", text))


CHECKS: Mapping[str, Check] = {
    "keywords:existence": lambda t, s: all(_found(word, t) for word in s["keywords"]),
    "keywords:frequency": lambda t, s: holds(
        _found(s["keyword"].strip(), t), s["frequency"], s["relation"]
    ),
    "keywords:forbidden_words": lambda t, s: not any(_has_word(w, t) for w in s["forbidden_words"]),
    "keywords:letter_frequency": lambda t, s: holds(
        t.lower().count(s["letter"].lower()), s["let_frequency"], s["let_relation"]
    ),
    "length_constraints:number_sentences": lambda t, s: holds(
        _sentences(t), s["num_sentences"], s["relation"]
    ),
    "length_constraints:number_words": lambda t, s: holds(
        len(re.findall(r"\w+", t)), s["num_words"], s["relation"]
    ),
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": lambda t, s: (
        _placeholders(t) >= s["num_placeholders"]
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": lambda t, s: _bullets(t) == s["num_bullets"],
    "detectable_format:constrained_response": lambda t, s: any(r in t for r in RESPONSES),
    "detectable_format:number_highlighted_sections": lambda t, s: (
        _highlights(t) >= s["num_highlights"]
    ),
    "detectable_format:multiple_sections": lambda t, s: _sections(t, s) >= s["num_sections"],
    "detectable_format:json_format": lambda t, s: _is_json(t),
    "detectable_format:title": lambda t, s: _has_title(t),
    "combination:two_responses": lambda t, s: _two_responses(t),
    "combination:repeat_prompt": lambda t, s: (
        t.strip().lower().startswith(s["prompt_to_repeat"].strip().lower())
    ),
    "startend:end_checker": lambda t, s: (
        t.strip().strip('"').lower().endswith(s["end_phrase"].strip().lower())
    ),
    "startend:quotation": lambda t, s: _is_quoted(t),
    "change_case:capital_word_frequency": lambda t, s: holds(
        _capital_words(t), s["capital_frequency"], s["capital_relation"]
    ),
    "change_case:english_capital": lambda t, s: t.isupper(),
    "change_case:english_lowercase": lambda t, s: t.islower(),
    "punctuation:no_comma": lambda t, s: "," not in t,
}
"""By IFEval's name of an instruction whether a text follows it; all of them take linear time."""
