"""Every strategy by name: those that come with the server, and those that are installed or given by path."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
from dataclasses import dataclass

from server.components.placer_workers.worker import load_class
from server.domain.errors import ConfigurationError
from server.placers.anytime import Anytime
from server.placers.cost import Cost
from server.placers.cpop import Cpop
from server.placers.custom import Custom
from server.placers.deadline import Deadline
from server.placers.exact import Exact
from server.placers.fair_share import FairShare
from server.placers.fifo_greedy import FifoGreedy
from server.placers.fifo_random import FifoRandom
from server.placers.fifo_round_robin import FifoRoundRobin
from server.placers.heft import Heft
from server.placers.interface import PlacerInterface
from server.placers.kubernetes import Kubernetes
from server.placers.las_eft import LasEft
from server.placers.max_min import MaxMin
from server.placers.min_min import MinMin
from server.placers.online import Online
from server.placers.peft import Peft
from server.placers.random_random import RandomRandom
from server.placers.sjf_eft import SjfEft
from server.placers.srpt_eft import SrptEft
from server.placers.sufferage import Sufferage

placers: dict[str, type[PlacerInterface]] = {
    "random_random": RandomRandom,
    "fifo_random": FifoRandom,
    "fifo_round_robin": FifoRoundRobin,
    "fifo_greedy": FifoGreedy,
    "custom": Custom,
    "kubernetes": Kubernetes,
    "online": Online,
    "srpt_eft": SrptEft,
    "sjf_eft": SjfEft,
    "las_eft": LasEft,
    "fair_share": FairShare,
    "deadline": Deadline,
    "cost": Cost,
    "heft": Heft,
    "peft": Peft,
    "cpop": Cpop,
    "min_min": MinMin,
    "max_min": MaxMin,
    "sufferage": Sufferage,
    "anytime": Anytime,
    "exact": Exact,
}
"""Every strategy that comes with the server. Others join by the entry-point group, or by `PLACER="module:Class"`."""

ENTRY_POINT_GROUP = "mlopx.placers"
DEFAULT_PLACER = "online"
SHOWN = ("random_random", "fifo_random", "fifo_round_robin", "custom", "online")
"""What a short list of strategies shows; the rest with `all`."""


@dataclass(frozen=True, slots=True)
class PlacerInfo:
    """A strategy as users see it."""

    name: str
    summary: str
    source: str
    version: str
    is_default: bool = False
    is_current: bool = False


def foreign_placers() -> dict[str, str]:
    """Installed strategies: name -> `package.module:Class`. Raises ConfigurationError where names clash."""
    found: dict[str, str] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        if entry.name in placers or found.get(entry.name, entry.value) != entry.value:
            other = "a strategy of the server" if entry.name in placers else found[entry.name]
            raise ConfigurationError(
                f"the placer name {entry.name!r} of {entry.value} is taken by {other}",
                hint=f"rename the entry point in the group {ENTRY_POINT_GROUP} or uninstall one of the two",
            )
        found[entry.name] = entry.value
    return found


def placer_path(name: str) -> str:
    """The import path of a strategy given by name or as `package.module:Class`. Raises ConfigurationError."""
    foreign = foreign_placers()
    if name in placers:
        return f"{placers[name].__module__}:{placers[name].__qualname__}"
    if name in foreign:
        return foreign[name]
    if ":" in name:
        return name
    known = [*placers, *foreign]
    close = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    raise ConfigurationError(
        f"there is no placer {name!r}",
        hint=f'{meant}known are: {", ".join(known)}; your own is given as PLACER="package.module:Class"',
    )


def load_placer(name: str) -> type[PlacerInterface]:
    """The class of a strategy, imported here. Raises ConfigurationError that says what is wrong."""
    if name in placers:
        foreign_placers()
        return placers[name]
    path = placer_path(name)
    try:
        return load_class(path)
    except Exception as error:
        raise unusable(name, f"{type(error).__name__}: {error}") from error


@functools.cache
def takes_turns(name: str) -> bool:
    """Whether a strategy says that it takes ready tasks in turn; one that cannot be loaded says nothing."""
    try:
        return load_placer(name).takes_turns
    except ConfigurationError:
        return False


def unusable(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the placer {name!r} cannot be used: {why}",
        hint="a placer is a class that inherits server.placers.interface.PlacerInterface, given as"
        ' "package.module:Class" in a module that the server can import',
    )


def info_of(name: str, found: type[PlacerInterface]) -> PlacerInfo:
    """What users are told of a strategy."""
    return PlacerInfo(name, found.summary, found.source, found.version)


__all__ = [
    "DEFAULT_PLACER",
    "ENTRY_POINT_GROUP",
    "SHOWN",
    "PlacerInfo",
    "foreign_placers",
    "info_of",
    "load_placer",
    "placer_path",
    "placers",
    "takes_turns",
    "unusable",
]
