"""Steps of a response: where the tags of a process model go, whatever the response holds."""

import pytest

from nbest.model_backend.reward.steps import Steps

STEPS = Steps(tag="<tag>")


@pytest.mark.parametrize(
    ("response", "tagged"),
    [
        ("one\n\ntwo", "one<tag>two<tag>"),
        ("one\n\n\n\n two \n\n", "one<tag>two<tag>"),
        ("", ""),
        # A tag of the response's own would add a step, and with it a number.
        ("one<tag><tag>\n\ntwo", "one<tag>two<tag>"),
        ("<tag>\n\n<tag>", ""),
        ("o<t<tag>ag>ne", "one<tag>"),
    ],
)
def test_every_step_has_one_tag(response: str, tagged: str) -> None:
    assert STEPS.with_tags(response) == tagged
