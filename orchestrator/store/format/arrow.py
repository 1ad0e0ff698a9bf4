"""Names the modules and classes of pyarrow that the store uses, all without types.

Some versions of pyarrow bring stubs, which refuse arguments that pyarrow takes; others bring none.
So mypy looks no further than this file, and the rest of the store puts types around it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import pyarrow
import pyarrow.compute
import pyarrow.fs
import pyarrow.parquet

pa: Any = pyarrow
compute: Any = pyarrow.compute
filesystems: Any = pyarrow.fs
parquet: Any = pyarrow.parquet

Table: TypeAlias = Any
Column: TypeAlias = Any
Schema: TypeAlias = Any
DataType: TypeAlias = Any
ParquetFile: TypeAlias = Any
OpenFile: TypeAlias = Any
FileSystem: TypeAlias = Any
