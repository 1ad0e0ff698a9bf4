"""reasoning-gym's tasks: the same questions every time, and examples that are not among them."""

from __future__ import annotations

import pytest

from nbest.experiments.questions.datasets.tasks import TaskData, shots_seed
from nbest.orchestrator.errors import InputError

SUMS = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}


def sums(seed: int = 0, size: int = 32, **options: object) -> TaskData:
    return TaskData.model_validate(
        {"task": "chain_sum", "seed": seed, "size": size, "options": {**SUMS, **options}}
    )


def refusal(data: TaskData, shots: int = 0) -> str:
    with pytest.raises(InputError) as caught:
        data.load(shots)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_same_settings_generate_the_same_questions() -> None:
    assert sums(3).load(6) == sums(3).load(6)
    assert sums(3).load().items != sums(4).load().items
    assert sums(3).load().items != sums(3, max_terms=3).load().items


@pytest.mark.parametrize("seed", range(5))
def test_no_shot_is_a_question_that_is_asked(seed: int) -> None:
    # 128 of the 200 sums that there are: nearly all other seeds would draw some of them again.
    questions = sums(seed, size=128).load(6)
    questions_asked = {item.question for item in questions.items}
    examples = {shot.question for shot in questions.shots}
    assert len(examples) == 6
    assert not questions_asked & examples


def test_neighbouring_seeds_show_other_shots() -> None:
    first, second = (sums(seed).load(6).shots for seed in (0, 1))
    assert [s.question for s in first[1:]] != [s.question for s in second[:-1]]


def test_neighbouring_seeds_share_no_shots_seed() -> None:
    seeds = {shots_seed(seed) for seed in range(1000)}
    assert len(seeds) == 1000
    assert not seeds & set(range(1000))


def test_a_limit_changes_neither_the_first_questions_nor_the_shots() -> None:
    whole, part = sums().load(6), sums().load(6, limit=5)
    assert part.items == whole.items[:5] == sums().load(limit=5).items
    assert part.shots == whole.shots


def test_the_gold_answer_is_right_and_kept_apart() -> None:
    for item in sums().load().items:
        expression = item.question.rpartition(":")[2].removesuffix("=").split()
        left, sign, right = int(expression[0]), expression[1], int(expression[2])
        assert item.gold is not None
        assert int(item.gold.answer) == (left + right if sign == "+" else left - right)
        assert set(item.fields) == {"question"}
    assert sums().load().items[7].id == "chain_sum/7"


def test_a_task_with_too_few_questions_says_how_many() -> None:
    message = refusal(sums(size=2000), 6)
    assert message == "prompt.shots must be at most 0, as many as there are to show, got 6"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TaskData(task="chain_sums"), "dataset.task: no task 'chain_sums'; did you mean 'chain_"),
        (sums(min_trems=1), "dataset.options.min_trems: no such key; did you mean 'min_terms'?"),
        (sums(size=4, seed=1, **{"max_terms": 1}), "dataset.options: chain_sum refuses "),
        (sums(min_terms="x"), "dataset.options: chain_sum refuses "),
    ],
)
def test_wrong_settings_are_one_line(data: TaskData, message: str) -> None:
    assert refusal(data).startswith(message)


def test_seed_and_size_are_no_options() -> None:
    data = TaskData(task="chain_sum", options={"seed": 3})
    assert refusal(data).startswith("dataset.options.seed: no such key; ")


def test_what_a_generator_prints_stays_off_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    TaskData(task="boxnet", size=1).load()
    assert capsys.readouterr().out == ""
