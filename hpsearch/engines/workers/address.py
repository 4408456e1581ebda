"""Which cluster trains: its kind and its address, in the one text that a user gives."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from hpsearch.errors import OptionError

_PACKAGES: Final[Mapping[str, str]] = {"dask": "distributed", "ray": "ray"}
_OF_DASK: Final = ("tcp", "tls", "ucx", "ws", "wss", "inproc")
_FORMS: Final = (
    "tcp://HOST:8786 (or tls://, dask:...) for a Dask scheduler, ray:HOST:6379, ray://HOST:10001 "
    "or ray:auto for a Ray cluster, ray for one that starts here; nothing for this machine alone"
)


@dataclass(frozen=True)
class Cluster:
    """A cluster whose workers train.

    Attributes
    ----------
    kind : ``"dask"`` or ``"ray"``.
    address : as that library takes it; None for a Ray that this process uses already, that
        ``RAY_ADDRESS`` names, or that starts on this machine.

    Examples
    --------
    >>> Cluster.parse("tcp://10.0.0.1:8786")
    Cluster(kind='dask', address='tcp://10.0.0.1:8786')
    >>> Cluster.parse("ray:10.0.0.1:6379")
    Cluster(kind='ray', address='10.0.0.1:6379')
    """

    kind: Literal["dask", "ray"]
    address: str | None

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """The cluster that a text names; None, this machine, for None.

        Raises
        ------
        OptionError
            If the text has none of the forms.
        """
        if text is None:
            return None
        found = _parsed(text) if isinstance(text, str) else None
        if found is None:
            raise OptionError(f"`cluster` is {_FORMS}; received {text!r}.{_meant(text)}")
        return cls(*found)

    def __str__(self) -> str:
        if self.kind == "ray":
            place = self.address or ""
            return place if "://" in place else ":".join(filter(None, ("ray", place)))
        return str(self.address)

    def check_installed(self) -> None:
        """Raise ``OptionError`` where the cluster's library is not installed."""
        package = _PACKAGES[self.kind]
        if importlib.util.find_spec(package) is None:
            raise OptionError(
                f"`--cluster {self}` needs the package {package}, which is not installed. "
                f"Run: pip install 'hpsearch[{self.kind}]'"
            )


def check_cluster(text: str | None) -> None:
    """Raise ``OptionError`` where a text names no cluster, or one whose library is missing."""
    cluster = Cluster.parse(text)
    if cluster is not None:
        cluster.check_installed()


def _parsed(text: str) -> tuple[Literal["dask", "ray"], str | None] | None:
    kind, colon, rest = text.partition(":")
    if kind == "ray":
        if not colon or rest == "auto":
            return "ray", rest or None
        place = rest.removeprefix("//")
        return ("ray", text if rest != place else rest) if _is_place(place) else None
    if kind == "dask":
        text = rest if "://" in rest else f"tcp://{rest.removeprefix('//')}"
    scheme, _, place = text.partition("://")
    if scheme in _OF_DASK and (_is_place(place) or (scheme == "inproc" and place)):
        return "dask", text
    return None


def _is_place(text: str) -> bool:
    """Whether a text is ``HOST:PORT``."""
    host, _, port = text.rpartition(":")
    is_host = bool(host) and not set(host) & set("/ @") and (":" not in host or host[0] == "[")
    return is_host and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16


def _meant(text: Any) -> str:
    """What a text without a kind may have meant."""
    if isinstance(text, str) and _is_place(text):
        return f" Write tcp://{text} for Dask, or ray:{text} for Ray."
    return ""
