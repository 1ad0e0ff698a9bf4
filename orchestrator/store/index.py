"""Finds the stored samples of a query, and reads them only when they are asked for.

The index holds, for each query id, which blocks (row groups) of which parts have samples of it:
some 200 bytes a query, however many samples there are. The blocks that were used last stay in
memory, up to a number of bytes. Compaction puts the samples of a query side by side, so that going
through a run query by query decodes each block once.

It knows no writer and no event loop.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.names import SAMPLES
from nbest.orchestrator.store.format.parquet import DamagedFile, despite_compaction, open_part
from nbest.orchestrator.store.format.schema import SAMPLES as SAMPLES_SCHEMA
from nbest.orchestrator.store.store_block import SampleBlock
from nbest.orchestrator.types import Sample

CACHE_BYTES = 128 << 20

Place = tuple[str, int]
"""A block: name of the part, number of the row group. Sorted, they are in the order of commits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a look at the files found."""

    parts: frozenset[str]  # the names of all that there are
    query_ids: dict[Place, list[str]]  # in the blocks of the parts that were not known before
    damaged: tuple[DamagedFile, ...]


class SampleIndex:
    """The samples that a run had when its files were looked at last."""

    def __init__(self, folder: RunFolder, cache_bytes: int = CACHE_BYTES) -> None:
        self._folder = folder
        self._parts: frozenset[str] = frozenset()
        self._places: dict[str, list[Place]] = {}
        self._cache: OrderedDict[Place, SampleBlock] = OrderedDict()
        self._cache_bytes = cache_bytes
        self.damaged: list[DamagedFile] = []
        self.include(self.look())

    def __iter__(self) -> Iterator[str]:
        """The query ids, in the order in which their first samples were committed."""
        return iter(self._places)

    def get(self, query_id: str, index: int) -> Sample | None:
        """The sample of that key; None also where all that there is has failed or was aborted."""
        if query_id not in self._places:
            return None
        return despite_compaction(self._folder, lambda: self._get(query_id, index))

    def samples(self, query_id: str) -> dict[int, Sample]:
        """All samples of a query by their index, lowest first, failed and aborted ones included."""
        return despite_compaction(self._folder, lambda: self._samples(query_id))

    def look(self) -> Listing:
        """List the files, and read the query ids of those that are new. Changes nothing here."""
        return despite_compaction(self._folder, self._look)

    def include(self, listing: Listing) -> None:
        """Find from now on what is in that listing, and no longer what is not in it."""
        gone = self._parts - listing.parts
        if gone:
            for query_id, places in self._places.items():
                self._places[query_id] = [place for place in places if place[0] not in gone]
        for place, query_ids in listing.query_ids.items():
            for query_id in query_ids:
                insort(self._places.setdefault(query_id, []), place)
        self._parts = listing.parts
        self.damaged.extend(listing.damaged)

    def _look(self) -> Listing:
        parts = frozenset(self._folder.parts(SAMPLES))
        query_ids: dict[Place, list[str]] = {}
        damaged = []
        for name in sorted(parts - self._parts):
            try:
                with open_part(self._folder, name) as file:
                    for group in range(file.num_row_groups):
                        table = file.read_row_group(group, columns=["query_id"])
                        query_ids[name, group] = table["query_id"].unique().to_pylist()
            except DamagedFile as damage:
                damaged.append(damage)
        return Listing(parts=parts, query_ids=query_ids, damaged=tuple(damaged))

    def _get(self, query_id: str, index: int) -> Sample | None:
        for place in self._places[query_id]:
            block = self._block(place)
            row = block.rows.get(query_id, {}).get(index)
            if row is not None and block.is_final(row):
                return block.sample(row)
        return None

    def _samples(self, query_id: str) -> dict[int, Sample]:
        found: dict[int, tuple[SampleBlock, int]] = {}
        for place in self._places.get(query_id, []):
            block = self._block(place)
            for index, row in block.rows.get(query_id, {}).items():
                first, first_row = found.setdefault(index, (block, row))
                if block.is_final(row) and not first.is_final(first_row):
                    found[index] = block, row
        return {index: block.sample(row) for index, (block, row) in sorted(found.items())}

    def _cached_bytes(self) -> int:
        return sum(block.num_bytes for block in self._cache.values())

    def _block(self, place: Place) -> SampleBlock:
        if place in self._cache:
            self._cache.move_to_end(place)
            return self._cache[place]
        self._cache[place] = block = self._read(place)
        while len(self._cache) > 1 and self._cached_bytes() > self._cache_bytes:
            self._cache.popitem(last=False)
        return block

    def _read(self, place: Place) -> SampleBlock:
        name, group = place
        try:
            with open_part(self._folder, name) as file:
                return SampleBlock(file.read_row_group(group))
        except DamagedFile as damage:
            self.damaged.append(damage)
            return SampleBlock(SAMPLES_SCHEMA.empty_table())
        except FileNotFoundError:  # compacted: its samples are in another part now
            self.include(self.look())
            raise
