"""Classes of files that a user names go to the cluster by value: no worker can import them."""

from __future__ import annotations

import sys

FILE_MODULE = "nbest_file_"  # how the names of the modules of such files begin


def ship_code_files() -> None:
    """Have Ray send the classes of files that were loaded here whole, and not by their names."""
    from ray import cloudpickle

    for name, module in list(sys.modules.items()):
        if name.startswith(FILE_MODULE):
            cloudpickle.register_pickle_by_value(module)
