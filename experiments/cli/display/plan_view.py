"""What `nbest run --dry-run` prints: the first prompt, and the plan of the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from nbest.experiments.cli.display.documents import print_document
from nbest.experiments.config.strategy import StrategySection
from nbest.experiments.language.text import printable, safe_lines
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.prompts import prompt_text
from nbest.experiments.runs.plan import Plan
from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.files import StrPath, without_password
from nbest.orchestrator.store.reader import RunReader


def print_plan(plan: Plan, out: StrPath, as_json: bool) -> None:
    """Print the first prompt, and on standard error what the run will be; nothing is started."""
    if as_json:
        return print_document(_document(plan, out))
    queries = plan.prompts.queries
    if queries:
        print(safe_lines(prompt_text(queries[0])))
    for text in _sentences(plan, out):
        print(printable(f"-- {text}"), file=sys.stderr)
    for arm, prompt in _first_prompts(plan).items():
        print(safe_lines(prompt))
        print(f"-- the same for the arm {arm}", file=sys.stderr)


def _document(plan: Plan, out: StrPath) -> dict[str, object]:
    queries, gold = plan.prompts.queries, _first_gold(plan)
    return {
        "questions": len(queries),
        "bad_questions": len(plan.prompts.bad),
        "samples_each": plan.config.strategy.n,
        "first_prompt": prompt_text(queries[0]) if queries else None,
        "arms": _first_prompts(plan),
        "notes": list(plan.notes),
        "out": without_password(str(out)),
        "ended": _ended(out),
        "most_tokens": _most_tokens(plan),
        "first_gold": None if gold is None else gold.answer,
    }


def _sentences(plan: Plan, out: StrPath) -> Iterator[str]:
    config = plan.config
    queries = len(plan.prompts.queries)
    bad = f", {len(plan.prompts.bad)} that cannot be asked" if plan.prompts.bad else ""
    yield f"the prompt of the first of {queries} questions{bad}, {samples_each(config.strategy)}"
    model = config.model.build().identity.get("model", config.model.backend)
    yield f"drawn from {model} ({config.model.backend}), {_most_tokens(plan):,} tokens at most"
    ended = _ended(out)
    yield f"kept in {without_password(str(out))}" + (f", {ended} questions there" if ended else "")
    gold = _first_gold(plan)
    if gold is None:
        yield f"graded by {config.grade}: no question has a gold answer"
    else:
        read = _read(plan, gold)
        yield f"graded by {config.grade}: the first gold answer is {gold.answer!r}{read}"


def _most_tokens(plan: Plan) -> int:
    """As many as n samples of each question can have."""
    each = plan.config.strategy.n * plan.config.sampling.max_tokens
    return len(plan.prompts.queries) * each


def _first_gold(plan: Plan) -> Gold | None:
    golds = (plan.gold[query.id] for query in plan.prompts.queries if query.id in plan.gold)
    return next(golds, None)


def _read(plan: Plan, gold: Gold) -> str:
    """What the extractor reads in the derivation of a gold answer, where there is one."""
    if gold.full in ("", gold.answer):
        return ""
    answer = plan.config.reading().extract(gold.full)
    said = "none" if answer is None else repr(answer)
    return f", and extract reads {said} in its derivation"


def _ended(out: StrPath) -> int:
    """How many questions the folder holds a record of."""
    try:
        return len(RunReader(out).ended())
    except (StoreError, ValueError):  # no run is there
        return 0


def _first_prompts(plan: Plan) -> dict[str, str]:
    """The first question in the words of each arm of a panel, by its name."""
    if plan.panel is None or not plan.prompts.queries:
        return {}
    query = plan.prompts.queries[0]
    asked = {arm.name: arm.prompt_for(query) for arm in plan.panel.arms}
    return {name: prompt_text(replace(query, prompt=prompt)) for name, prompt in asked.items()}


def samples_each(strategy: StrategySection) -> str:
    if strategy.corrected is not None:
        count = (1 + strategy.corrected.corrections) * (1 + strategy.corrected.retries)
        return f"{strategy.n} answers each, of at most {count} samples"
    if strategy.tree == "search":
        return f"{strategy.n} chains of steps each"
    if strategy.tree is not None:
        return f"{strategy.n} first samples each, before those that {strategy.tree} makes of them"
    kinds = (strategy.rule, strategy.deep_conf, strategy.cascade, strategy.budget)
    most = "" if all(kind is None for kind in kinds) else "at most "
    return f"{most}{strategy.n} samples each"
