"""The config: the ready ones hold, every setting is used, every mistake is one line."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from nbest.experiments.config.config import Config, load_config
from nbest.experiments.config.sections import ClusterSection, SamplingSection
from nbest.experiments.language.plugin_kind import PluginKind
from nbest.experiments.questions.prompts import render
from nbest.experiments.runs.plan import make_plan, sampling_identity
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import SamplingParams, Thinking

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs"
DEMO = CONFIGS / "demo.yaml"
TEXT = """\
name: small
dataset:
  kind: jsonl
  path: questions.jsonl
model:
  backend: fake
sampling:
  temperature: 0.5
strategy:
  n: 4
select:
  - vote
  - random(seed=3)
extract: last_number
grade: number
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(TEXT)
    return file


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(path, overrides)
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    return str(caught.value)


def test_words_are_texts_and_truth_values_where_these_are_due(path: Path) -> None:
    path.write_text(f"{TEXT}cluster: {{local: yes}}\nprompt: {{system: no, chat: yes}}\n")
    config = load_config(path)
    assert config.cluster.local is True
    assert config.prompt.system == "no"
    assert "sampling.temperature must be a number" in refusal(path, "sampling.temperature=on")


def test_the_ready_configs_hold() -> None:
    for file in CONFIGS.glob("*.yaml"):
        config = load_config(file)
        assert config.name == file.stem
        if file.stem != "coverage":  # ten thousand samples do not decode at once
            assert config.model.build().max_concurrency >= config.strategy.n


def test_the_demo_is_what_the_readme_says() -> None:
    demo = load_config(DEMO)
    assert (demo.dataset.kind, demo.strategy.n, demo.prompt.shots) == ("reasoning_gym", 16, 6)
    names = [text.partition("(")[0] for text in demo.select]
    scores = "mean_logprob sum_logprob shortest longest first random first_valid"
    assert names == ["vote", *scores.split()]
    assert demo.sampling.build().stop == ("\n",)
    assert demo.sampling.logprobs == 0


def test_the_demo_asks_32_sums_after_six_examples() -> None:
    demo = load_config(DEMO)
    prompts = render(demo.prompt, demo.dataset.load(demo.prompt.shots))
    texts = [str(query.prompt) for query in prompts.queries]
    assert (len(texts), prompts.bad) == (32, ())
    for text in texts:
        *examples, question = text.split("\n\n")
        assert len(examples) == 6
        assert all(re.fullmatch(r"Q: .*=\nA: -?\d+", example) for example in examples)
        assert re.fullmatch(r"Q: .*=\nA:", question)


def test_gsm8k_shows_whole_solutions_and_grades_numbers(tmp_path: Path) -> None:
    rows = [{"question": f"{i}+1?", "answer": f"It is {i + 1}.\n#### {i + 1}"} for i in range(6)]
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = load_config(CONFIGS / "gsm8k.yaml", [f"dataset.path={file}"])
    questions = config.dataset.load(config.prompt.shots)
    first = render(config.prompt, questions).queries[0]
    assert first.id == "gsm8k/5"
    assert str(first.prompt).endswith(
        "Question: 3+1?\nAnswer: It is 4.\n#### 4\n\nQuestion: 4+1?\nAnswer:"
    )
    answer = config.reading().extract("So that makes 5 in all.\n#### 5.0")
    assert config.reading().grade(answer, questions.gold()[first.id]) == 1.0


def test_a_config_survives_json(path: Path) -> None:
    for config in (load_config(DEMO), load_config(path, ["sampling.constraint={json: '{}'}"])):
        text = json.dumps(config.model_dump(mode="json", by_alias=True))
        assert Config.model_validate(json.loads(text)) == config


def test_overrides_are_made_in_order(path: Path) -> None:
    config = load_config(path, ["strategy.n=8", "strategy.n=9", "select[0]=shortest", "seed=5"])
    assert (config.strategy.n, config.seed) == (9, 5)
    assert config.select == ("shortest", "random(seed=3)")


def test_one_text_stands_for_a_list(path: Path) -> None:
    config = load_config(path, ["select=vote, random(seed=1)", "sampling.stop=END"])
    assert config.select == ("vote", "random(seed=1)")
    assert config.sampling.stop == ("END",)


def test_the_objects_are_those_that_the_config_names(path: Path) -> None:
    config = load_config(path, ["grade=exact(casefold=true)", 'extract=after_marker(marker="=")'])
    assert [repr(s) for s in config.scorers().values()] == ["MajorityVote()", "Random(seed=3)"]
    assert config.reading().extract("x = 5") == "5"
    assert repr(config.reading().grade) == "Exact(casefold=True)"


SETTINGS = {
    "temperature": 0.1,
    "top_p": 0.2,
    "top_k": 3,
    "min_p": 0.4,
    "max_tokens": 5,
    "stop": ["x"],
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "repetition_penalty": 1.1,
    "min_tokens": 2,
    "stop_token_ids": [3],
    "include_stop_str_in_output": True,
    "ignore_eos": True,
    "bad_words": ["x"],
    "allowed_token_ids": [3],
    "logit_bias": {3: -1.0},
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
    "logprobs": 1,
    "constraint": {"choice": ["yes", "no"]},
    "token_texts": True,
    "thinking": {"effort": "low", "budget": 64},
}


def test_the_sampling_section_is_sampling_params() -> None:
    assert SamplingSection().build() == SamplingParams()
    names = {field.name for field in fields(SamplingParams)}
    assert names - {"floor"} == set(SamplingSection.model_fields) == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_sampling_setting_reaches_the_request(name: str) -> None:
    built = SamplingSection.model_validate({name: SETTINGS[name]}).build()
    changed = {f.name for f in fields(built) if getattr(built, f.name) != f.default}
    assert changed == {name}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_sampling_setting_makes_another_run(name: str) -> None:
    built = SamplingSection.model_validate({name: SETTINGS[name]}).build()
    assert sampling_identity(built) != sampling_identity(SamplingParams())


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("on", Thinking(enabled=True)),
        ("off", Thinking(enabled=False)),
        ("true", Thinking(enabled=True)),
        ("false", Thinking(enabled=False)),
        ("{budget: 0}", Thinking(budget=0)),
        ("{enabled: true, effort: high}", Thinking(enabled=True, effort="high")),
    ],
)
def test_thinking_is_a_word_or_settings(path: Path, said: str, meant: Thinking) -> None:
    sampling = load_config(path, [f"sampling.thinking={said}"]).sampling
    assert sampling.build().thinking == meant


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("{budget: -1}", "budget must be at least 0 tokens, got -1"),
        ("{}", "thinking must say on or off, an effort or a budget"),
        ("{enabled: false, budget: 9}", "thinking must be on to have an effort or a budget"),
        ("{budgett: 9}", "budgett"),
        ("maybe", "thinking"),
    ],
)
def test_thinking_that_makes_no_sense_is_one_line(path: Path, said: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        load_config(path, [f"sampling.thinking={said}"])
    assert "\n" not in str(caught.value)


def test_token_ids_are_keys_of_yaml_as_text(path: Path) -> None:
    built = load_config(path, ['sampling.logit_bias={"50": -2.5, "7": 1}']).sampling.build()
    assert built.logit_bias == ((7, 1.0), (50, -2.5))


def test_settings_that_came_later_leave_the_identity_of_earlier_runs_as_it_was() -> None:
    """What a run folder of the first version holds."""
    assert sampling_identity(SamplingParams()) == {
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "max_tokens": 256,
        "stop": (),
        "logprobs": None,
        "constraint": None,
        "token_texts": False,
    }


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("presense_penalty", "presence_penalty"),
        ("min_token", "min_tokens"),
        ("logits_bias", "logit"),
    ],
)
def test_a_misspelt_sampling_setting_is_refused_with_the_nearest(
    path: Path, key: str, near: str
) -> None:
    with pytest.raises(InputError, match=f"sampling.{key}: no such key; did you mean '{near}"):
        load_config(path, [f"sampling.{key}=1"])


@pytest.mark.parametrize("kind", ["json", "regex", "choice", "grammar"])
def test_every_constraint_reaches_the_request(kind: str) -> None:
    built = SamplingSection.model_validate({"constraint": {kind: "x"}}).build()
    assert built.constraint is not None
    assert getattr(built.constraint, kind) == (("x",) if kind == "choice" else "x")


def every_model(model: type[BaseModel]) -> set[str]:
    """Keys without a description, in the exported schema."""
    schema = model.model_json_schema()
    sections = {"Config": schema, **schema["$defs"]}
    return {
        f"{section}.{key}"
        for section, body in sections.items()
        for key, entry in body.get("properties", {}).items()
        if key != "kind" and "description" not in entry
    }


def test_the_schema_describes_every_key() -> None:
    assert every_model(Config) == set()


# What `--set` adds to the small config, and the message.
MISTAKES = [
    ("sampling.temperatur=1", "sampling.temperatur: no such key; did you mean 'temperature'?"),
    ("nmae=x", "nmae: no such key; did you mean 'name'?"),
    ("cluster.x=1", "cluster.x: no such key; it is one of: address, allow_unauthenticated, "),
    ("dataset.pth=x", "dataset.pth: no such key; did you mean 'path'?"),
    ("dataset={kind: jsonl}", "dataset.path must be given, got nothing"),
    ("dataset={}", "dataset.kind must be given, got nothing"),
    ("dataset=null", "dataset must be a mapping of keys to values, got None"),
    ("dataset.kind=jsnl", "dataset.kind: no kind 'jsnl'; did you mean 'jsonl'?"),
    ("dataset.path=", "dataset.path must be text, got None"),
    ("dataset.path=''", "dataset.path must not be empty, got ''"),
    ("name=a/b", "name must match ^[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}$, got 'a/b'"),
    ("name=..", "name must match "),
    ("name=5", "name must be text, got 5"),
    ("seed=-1", "seed must be at least 0, got -1"),
    ("strategy.n=0", "strategy.n must be at least 1, got 0"),
    ("strategy.n=true", "strategy.n must be a whole number, got True"),
    ("strategy.n=2.5", "strategy.n must be a whole number, got 2.5"),
    ("strategy.n='8'", "strategy.n must be a whole number, got '8'"),
    ("sampling.temperature=-1", "sampling.temperature must lie in [0, 2], got -1"),
    ("sampling.temperature=.nan", "sampling.temperature must lie in [0, 2], got nan"),
    ("sampling.temperature=hot", "sampling.temperature must be a number, got 'hot'"),
    ("sampling.max_tokens=0", "sampling.max_tokens must be at least 1, got 0"),
    ("sampling.stop=[1]", "sampling.stop[0] must be text, got 1"),
    ("sampling.stop=['']", "sampling.stop must hold no empty string, got ('',)"),
    ("sampling=3", "sampling must be a mapping of keys to values, got 3"),
    ("sampling.constraint={}", "sampling.constraint: must set exactly one of json, regex, "),
    ("select[0]=votes", "select[0]: no selector named 'votes'; did you mean 'vote'?"),
    ("select[1]=random(sed=3)", "select[1]: random: sed: no such key; did you mean 'seed'?"),
    ("select[1]=random(seed=x)", "select[1]: random: seed must be a plain value, got 'x'"),
    ("select[1]=random(seed=null)", "select[1]: random: seed must be a whole number, got None"),
    ("select[1]=random(3, 4)", "select[1]: random must have at most 1 arguments"),
    ("select[1]=random(3, seed=4)", "select[1]: random: every argument must be given once"),
    ("select[1]=first_valid", "select[1]: first_valid must set exactly one of regex, json_schema"),
    ("select[1]=arm_weight(weights={a:b})", "select[1]: arm_weight: weights must be a number"),
    (
        "select[1]=arm_weight(weights={a:f(x=1)})",
        "select[1]: arm_weight: weights must hold plain values, got 'f(x=1)'",
    ),
    (
        "select[1]=arm_weight(weights={a:-1})",
        "select[1]: arm_weight: weights must be above 0 and finite",
    ),
    (
        "strategy={n: 5, cascade: [{n: 4, min_confidence: 0.7}, {n: 2}]}",
        "strategy.n must be 6, the samples of all stages of the cascade, got 5",
    ),
    (
        "strategy={cascade: [{n: 4}, {n: 2}]}",
        "strategy: cascade[0].min_confidence must be given in all stages but the last",
    ),
    (
        "strategy={cascade: [{n: 4, min_confidence: 0.5}]}",
        "strategy: cascade[0].min_confidence must be given in all stages but the last",
    ),
    (
        "strategy={cascade: [{n: 4, min_confidence: 0.7@16}, {n: 2}]}",
        "strategy: min_confidence 0.7@16 must be used with 16 samples a question",
    ),
    (
        "strategy={rule: margin, cascade: [{n: 4}]}",
        "strategy.cascade must be left out where there is a rule, got [{'n': 4}]",
    ),
    ("strategy={cascade: [{n: 0}]}", "strategy.cascade[0].n must be at least 1, got 0"),
    ("strategy={cascade: []}", "strategy.cascade must hold at least 1, got []"),
    ("strategy={cascade: 4}", "strategy.cascade must be a list, got 4"),
    ("select=[]", "select must hold at least 1, got []"),
    ("select=[vote, vote]", "select must name every selector once, got 'vote' twice"),
    ("select=vote,,", "select: must look like name or name(key=value), got 'vote,,'"),
    ("extract=last_numbr", "extract: no extractor named 'last_numbr'; did you mean 'last_number'?"),
    ("extract=regex", "extract: regex: pattern must be given, got nothing"),
    ("grade=numbers", "grade: no grader named 'numbers'; did you mean 'number'?"),
    ("grade=number(tolerance=-1)", "grade: number: tolerance must be at least 0 and finite, got "),
    ("grade=reasoning_gym", "grade must be exact, number or none for a dataset of kind jsonl, "),
    ("model.backend=vlm", "model.backend: no backend named 'vlm'; did you mean 'vllm'?"),
    ("model={backend: vllm}", "model.model must be given, got nothing"),
    ("model={backend: vllm, model: x, max_modl_len: 9}", "model.max_modl_len: no such key; did "),
    ("model={model: x, max_model_len: long}", "model.max_model_len must be a whole number, got 'l"),
    ("model={model: x, max_num_seqs: 0}", "model.max_num_seqs must be at least 1, got 0"),
    ("prompt.template='{question'", "prompt.template must have a name between { and } (write {{"),
    ("prompt.template='{question.x}'", "prompt.template must hold only plain names in braces, as"),
    ("prompt.shots=2", "prompt.shot_template must be given when shots is 2, got nothing"),
    ("prompt.system=Hello", "prompt.system must go with chat: true, got 'Hello'"),
    ("cluster={local: true, engines: 2}", "cluster.engines must be 1 when local is true, got 2"),
    ("cluster={local: true, workers: 2}", "cluster.workers must be 1 when local is true, got 2"),
    ("cluster={local: true, address: x}", "cluster.address must be left out when local is true"),
    (
        "cluster={local: true, shared_folder: true}",
        "cluster.shared_folder must be left out when local is true, got True",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_a_mistake_on_the_command_line_is_one_line(path: Path, text: str, message: str) -> None:
    assert refusal(path, text).startswith(f"--set {text}: {message}")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("temperature: 0.5", "temperatur: 0.5", 8, "sampling.temperatur: no such key; did you"),
        ("temperature: 0.5", "temperature: -1", 8, "sampling.temperature must lie in [0, 2], got"),
        ("n: 4", "n: 0", 10, "strategy.n must be at least 1, got 0"),
        ("- vote", "- votes", 12, "select[0]: no selector named 'votes'; did you mean 'vote'?"),
        ("kind: jsonl", "kind: json", 3, "dataset.kind: no kind 'json'; did you mean 'jsonl'?"),
        ("path: questions.jsonl", "pth: x", 4, "dataset.pth: no such key; did you mean 'path'?"),
        ("path: questions.jsonl", "", 2, "dataset.path must be given, got nothing"),
        ("grade: number", "grade: numbr", 15, "grade: no grader named 'numbr'; did you mean 'n"),
        ("grade: number", "grade: [number]", 15, "grade must be text, got ['number']"),
        ("backend: fake", "backend: fake\n  tokens: 1", 7, "model.tokens: no such key; "),
        ("backend: fake", "backend: fake\n  weights: [1]", 7, "model.weights must hold one posi"),
        ("backend: fake", "backend: fake\n  weights: [x]", 7, "model.weights must be a whole num"),
    ],
)
def test_a_mistake_in_the_file_has_its_line(
    path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in TEXT
    path.write_text(TEXT.replace(old, new))
    assert refusal(path).startswith(f"{path}:{line}: {message}")


def test_all_mistakes_are_told(path: Path) -> None:
    first, second = refusal(path, "strategy.n=0", "seed=-1").split("\n")
    assert "strategy.n must be at least 1, got 0" in first + second
    assert "seed must be at least 0, got -1" in first + second
    # What is wrong in a list makes the list wrong, too: that is one mistake.
    assert refusal(path, "select=votes").endswith("did you mean 'vote'?")
    assert refusal(path, "select=[votes, frist]").count("\n") == 1
    assert refusal(path, "select=[votes]", "seed=-1").count("\n") == 1


def test_a_missing_section_is_named(path: Path) -> None:
    path.write_text("name: x")
    missing = (f"{path}: {key} must be given, got nothing" for key in ("dataset", "model"))
    assert refusal(path) == "\n".join(missing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": must hold a config, got an empty file"),
        ("# nothing\n", ": must hold a config, got an empty file"),
        ("- a\n- b\n", ":1: must be a mapping of keys to values, got ['a', 'b']"),
        ("hello", ":1: must be a mapping of keys to values, got 'hello'"),
        ("name: [", ":2:1: broken YAML: did not find expected node content"),
        ("name: a\nname: b", ":2: the key 'name' is given twice"),
        ("'na\\nme\x07': 1", ":1: broken YAML: control characters are not allowed"),
        ('"na\\nme": 1', r":1: 'na\nme': no such key; did you mean 'name'?"),
    ],
)
def test_what_is_no_config_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    assert refusal(path).startswith(f"{path}{message}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "x.yaml") == f"{tmp_path / 'x.yaml'}: no such file"


def test_a_task_whose_grader_runs_text_is_not_graded_by_it() -> None:
    message = refusal(DEMO, "dataset={kind: reasoning_gym, task: countdown}", "grade=reasoning_gym")
    assert "grade must be exact, number or none for countdown" in message
    assert load_config(DEMO, ["grade=reasoning_gym"]).grade == "reasoning_gym"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("address", "10.0.0.1:6379"),
        ("engines", 3),
        ("workers", 2),
        ("cpus_per_engine", 4.0),
        ("gpus_per_engine", 2),
        ("engines_span_nodes", True),
        ("shared_folder", True),
        ("allow_unauthenticated", True),
    ],
)
def test_every_setting_of_the_cluster_arrives(key: str, value: object) -> None:
    built = ClusterSection.model_validate({key: value}).build()
    assert built == replace(Cluster(), **{key: value})  # type: ignore[arg-type]
    assert built != Cluster()


def test_what_a_config_names_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    parse = PluginKind.parse

    def counting(kind: PluginKind, text: str, *, trusted: bool = False) -> object:
        built.append(text)
        return parse(kind, text, trusted=trusted)

    monkeypatch.setattr(PluginKind, "parse", counting)
    config = load_config(CONFIGS / "demo.yaml", ["strategy.rule=vote_stands", "select=[vote,mbr]"])
    strategy = config.build_strategy()
    assert strategy.select is config.scorers()["vote"]
    assert config.reading().extract is config.reading().extract
    texts = ["vote", "mbr", "vote_stands", config.extract, config.grade]
    assert sorted(built) == sorted(texts)


@pytest.mark.parametrize(
    ("select", "kept"),
    [
        ("[vote, mean_logprob]", 0),
        ("[vote, 'self_certainty(k=20)', mean_logprob]", 20),
        ("['self_certainty(k=5)', 'confidence(k=8)']", 8),
        ("[vote, first]", None),
    ],
)
def test_samples_have_the_logprobs_that_any_selector_reads(
    select: str, kept: int | None, path: Path
) -> None:
    config = load_config(path, [f"select={select}"])
    assert config.build_strategy().sampling().logprobs == kept
    more = load_config(path, [f"select={select}", "sampling.logprobs=20"])
    assert more.build_strategy().sampling().logprobs == 20


@pytest.mark.parametrize("value", ["5", "true", "{a: b}", "null"])
def test_texts_are_one_text_or_a_list(value: str, path: Path) -> None:
    message = refusal(path, f"sampling.stop={value}")
    assert "sampling.stop must be a text or a list of texts, got" in message


@pytest.mark.parametrize(
    "value", ['\'{"type": "object"}\'', '{"type": "object"}', "{type: object}"]
)
def test_a_json_schema_is_json_text_or_a_mapping(value: str, path: Path) -> None:
    config = load_config(path, [f"sampling.constraint.json={value}"])
    constraint = config.sampling.constraint
    assert constraint is not None
    assert constraint.build().json == '{"type": "object"}'


def test_weights_of_arms_need_arms(path: Path) -> None:
    message = refusal(path, "select=[vote, 'weighted_vote(by=arm_weight(weights={a: 1}))']")
    assert "select[1]: arm_weight: weights must name all arms (this run has none)" in message


def test_a_later_selector_makes_no_other_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it reads is kept from now on, and decides no sample."""
    monkeypatch.chdir(path.parent)
    (path.parent / "questions.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    vote, more, first = (
        make_plan(load_config(path, [f"select={select}"])).fingerprint()
        for select in ("[vote]", "[vote, mean_logprob]", "[mean_logprob, vote]")
    )
    assert vote == more != first
