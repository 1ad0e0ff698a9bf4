"""`nbest grade`: a model says of each stored answer whether it is right, and how far to trust it.

The same model grades answers whose worth is known, where there are some: how often it agrees there
says what its verdicts are worth elsewhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.model_verdicts import ModelVerdicts
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import cases_of, reading_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.verdicts_file import Asked, read_verdicts, write_verdicts
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.requirements import require
from nbest.orchestrator.run.open_model import OpenModel, open_model
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Query, Status, Usage, model_key
from nbest.scorers.baselines import First
from nbest.scorers.judges.prompt import JudgePrompt, judge_prompt
from nbest.scorers.judges.reply import preference_of

BATCH = 64  # answers; after each the verdicts are durable
CRITERION = "Is the answer that the response gives a right answer to the question?"
REFERENCE = "Is the answer that the response gives the same as the reference answer?"
MAX_TOKENS = 16  # a reply is short; a model that thinks first needs more


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a model is asked about answers."""

    backend: BackendConfig
    criterion: str = ""  # empty: the one for answers with a reference, or without
    with_gold: bool = False  # it is shown the gold answer, and asked where there is one alone
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        is_told = self.criterion == "" or bool(self.criterion.strip())
        require(is_told, "criterion", "hold a text", self.criterion)

    @property
    def question(self) -> str:
        """What the model is asked about each answer."""
        return self.criterion or (REFERENCE if self.with_gold else CRITERION)

    @property
    def settings(self) -> Asked:
        """What decides the verdicts: those that were asked for otherwise are others."""
        model = self.backend.identity
        shown = "with the gold answer" if self.with_gold else "without the gold answer"
        return {"model": model_key(model), "criterion": self.question, "prompt": shown}

    def prompt_about(self, case: Case, answer: str, gold: Gold | None) -> JudgePrompt:
        """The prompt about one answer: the text of the first sample that gives it, and it."""
        place = case.candidates.answers.index(answer)
        text = case.candidates.samples[place].text
        texts = [("Response", text)]
        if answer.strip() != text.strip():
            texts.append(("The answer that the response gives", answer))
        if self.with_gold and gold is not None:
            texts.insert(0, ("Reference answer", gold.answer))
        task = f"{self.question}\nReply with A or B alone: A if it is, and B if it is not."
        return judge_prompt(case.query, texts, task, "Choice:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One of the different answers to a question, with what is known of it."""

    query_id: str
    cluster: str  # the template of the question, or its id where the data name none
    text: str
    verdict: float  # the model's; nan where its reply says neither
    known: float  # the run's own grader's; nan where it says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """What a model has said of the answers of a run, and what is known of them."""

    name: str
    asked: int  # answers, just now
    failures: Mapping[str, int]  # why answers have no verdict yet: the same command asks again
    answers: tuple[Answer, ...]
    unasked: int = 0  # questions without a text, about which no model can be asked
    usage: Usage = field(default_factory=Usage)  # of what was asked just now

    @property
    def failed(self) -> int:
        """How many of the answers that were asked about have no verdict."""
        return sum(self.failures.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many answers the model calls right and wrong, and of how many it says neither."""
        verdicts = [answer.verdict for answer in self.answers]
        right, wrong = verdicts.count(1.0), verdicts.count(0.0)
        return {"right": right, "wrong": wrong, "neither": len(verdicts) - right - wrong}

    def agreement(self, known: float | None = None) -> Accuracy:
        """How often the model agrees with what is known, of all answers or those known as such.

        The interval takes questions for independent, or their templates, where the data name them.
        """
        both = [a for a in self.answers if not math.isnan(a.verdict) and not math.isnan(a.known)]
        kept = [a for a in both if known is None or a.known == known]
        names = [answer.cluster for answer in kept]
        return accuracy_of([float(a.verdict == a.known) for a in kept], clusters=names)


def grade_run(
    run: StrPath,
    asking: Asking,
    name: str,
    *,
    by: ReadingNames = ReadingNames(),  # noqa: B008 # frozen
    limit: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Grading:
    """Ask a model about each different answer of a run that it has not been asked about.

    With `limit`, about the answers of so many questions. The model is started only where something
    is missing. InputError where the name holds verdicts that were asked for in another way.
    """
    require(limit is None or limit >= 1, "limit", "be at least 1", limit)
    stored = read_verdicts(run, name, asking.settings)
    gold = read_gold(run)
    cases, unasked = _cases(run, asking, name, by, gold, limit)
    missing = [
        (case, answer)
        for case in cases
        for answer in _different(case)
        if answer not in stored.get(case.query.id, {})
    ]
    shown = {query: right.answer for query, right in gold.items()} if asking.with_gold else {}
    usage, failures = Usage(), Counter[str]()
    if missing:
        with open_model(asking.backend) as model:
            for start in range(0, len(missing), BATCH):
                tell(f"{start:,} of {len(missing):,} answers")
                batch = missing[start : start + BATCH]
                said, failed, spent = _asked(model, asking, batch, gold)
                if said:
                    write_verdicts(run, name, asking.settings, said, shown)
                usage += spent
                failures += failed
        stored = read_verdicts(run, name, asking.settings)
    answers = tuple(_known(cases, stored))
    return Grading(
        name=name,
        asked=len(missing),
        failures=failures,
        answers=answers,
        unasked=unasked,
        usage=usage,
    )


def _cases(
    run: StrPath,
    asking: Asking,
    name: str,
    by: ReadingNames,
    gold: Mapping[str, Gold],
    limit: int | None,
) -> tuple[list[Case], int]:
    """The cases that a model can be asked about, and how many it cannot."""
    reader = RunReader(run)
    reading = reading_of(reader, by.extract, by.grade, by.equivalence)
    if isinstance(reading.grade, ModelVerdicts) and reading.grade.by == name:
        raise InputError(
            f"grade must be another one than the verdicts themselves, got {by.grade!r}"
        )
    cases = cases_of(reader, reading, [])
    if asking.with_gold:
        cases = [case for case in cases if case.query.id in gold]
    asked = [case for case in cases if _has_text(case.query)]
    if cases and not asked:
        raise InputError("run must hold the texts of its questions, got none: see docs/pools.md")
    return asked[:limit], len(cases) - len(asked)


def _has_text(query: Query) -> bool:
    return bool(query.prompt.strip() if isinstance(query.prompt, str) else query.prompt)


def _different(case: Case) -> list[str]:
    return list(dict.fromkeys(a for a in case.candidates.answers if a is not None))


def _asked(
    model: OpenModel,
    asking: Asking,
    batch: Sequence[tuple[Case, str]],
    gold: Mapping[str, Gold],
) -> tuple[dict[str, dict[str, float]], Counter[str], Usage]:
    """What the model says of these answers, why it says nothing of others, and the cost."""
    prompts = [asking.prompt_about(case, text, gold.get(case.query.id)) for case, text in batch]
    params = SamplingParams(temperature=0.0, max_tokens=asking.max_tokens)
    strategy = BestOfN(n=1, select=First(), params=params)
    records = model.ask_many([prompt.prompt for prompt in prompts], strategy)
    said: dict[str, dict[str, float]] = {}
    failures, usage = Counter[str](), Usage()
    for (case, text), prompt, record in zip(batch, prompts, records, strict=True):
        usage += record.usage
        if record.selection is None:
            failures[record.error] += 1
            continue
        (reply,) = record.selection.samples
        verdict = preference_of(prompt, reply)
        if reply.status not in FINAL:
            failures[reply.error or str(reply.status)] += 1
        elif reply.status is Status.TRUNCATED and math.isnan(verdict):
            failures[f"cut off at {asking.max_tokens} tokens (--max-tokens)"] += 1
        else:
            said.setdefault(case.query.id, {})[text] = verdict
    return said, failures, usage


def _known(cases: Sequence[Case], stored: Mapping[str, Mapping[str, float]]) -> Iterator[Answer]:
    for case in cases:
        for text in _different(case):
            verdict = stored.get(case.query.id, {}).get(text)
            if verdict is not None:
                known = case.verdicts[text]
                yield Answer(
                    query_id=case.query.id,
                    cluster=case.query.id if case.cluster is None else case.cluster,
                    text=text,
                    verdict=verdict,
                    known=known,
                )
