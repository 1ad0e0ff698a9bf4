"""The kinds of dataset that a config can name, told apart by `kind`.

Each is a section of the config, and loads the questions, their gold answers and worked examples.
Only `load` opens a file or imports an optional package.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nbest.experiments.questions.datasets.files import CsvFile, JsonlFile, ParquetFile
from nbest.experiments.questions.datasets.hub import HubData
from nbest.experiments.questions.datasets.tasks import TaskData

Dataset = Annotated[
    JsonlFile | CsvFile | ParquetFile | HubData | TaskData, Field(discriminator="kind")
]
