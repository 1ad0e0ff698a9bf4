"""Study: what each layer of structured output wins, and what it costs in wrong values.

    python -m nbest.experiments.studies.layers [--records 100000] [--questions 40]

First valid records are corrupted by one fault each, and read by nbest and by json_repair alone.
Then a model extracts records from sentences: asked in several ways, constrained, corrected, drawn
again, raced, voted on. `--records 0` or `--questions 0` leaves a part out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nbest.experiments.cli.ending import run_command
from nbest.experiments.studies.layers.extraction import TITLES, extracted
from nbest.experiments.studies.layers.repairs import table_of
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import SeededAnswers
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.tasks import wait_for


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both parts and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000, help="to corrupt")
    parser.add_argument("--questions", type=int, default=40, help="for the model")
    parser.add_argument("-n", type=int, default=8, help="samples a question")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="smollm2-135m", help="or fake")
    options = parser.parse_args(arguments)
    if options.records:
        print("\n".join(table_of(options.records, options.seed)), flush=True)
    if options.questions:
        backend: BackendConfig = VLLM(options.model, max_model_len=1024, max_num_seqs=64)
        if options.model == "fake":
            said = ('{"name": "Ann", "age": 34, "city": "Oslo"}', "{'name': 'Bob',}", "none")
            backend = FakeBackend(script=SeededAnswers(answers=said, weights=(1, 1, 1)))
        print(TITLES)
        wait_for(extracted(backend, options.questions, options.n, options.seed))


if __name__ == "__main__":  # engines start processes that import this file
    run_command(main)
