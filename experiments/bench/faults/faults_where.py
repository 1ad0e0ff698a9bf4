"""Where a run is made: in one process, on a Ray of its own, or on a cluster that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A setting of the config, and what the environment must say."""

    name: str
    setting: str
    env: Mapping[str, str] = field(default_factory=dict)


LOCAL = Where(name="local", setting="cluster={local: true}")


def on_ray(
    engines: int = 2,
    workers: int = 2,
    *,
    address: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Where:
    """Ray on this machine for the time of the run, or the cluster at that address."""
    joined = "" if address is None else f", address: '{address}'"
    return Where(
        name="ray" if address is None else "joined",
        setting=f"cluster={{engines: {engines}, workers: {workers}{joined}}}",
        env=env or {},
    )


BOTH = (LOCAL, on_ray())
