"""An unfolded protocol that still knows where each of its steps was written: in which file, and run from where."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from labctl.errors import Place
from labctl.protocol.source import KeyPath, Source


@dataclass(frozen=True, slots=True)
class Origin:
    """Where what was put into the data at some place comes from.

    Attributes:
        via: from where it is run.
        whole: everything there comes from this one value.
    """

    source: Source
    path: KeyPath
    via: str = ""
    whole: bool = False

    def value(self, path: KeyPath) -> Place:
        """Return where the value at `path`, as seen from here, stands."""
        return self._known(self.source.value(self._inside(path)))

    def key(self, path: KeyPath) -> Place:
        """Return where the key that leads to `path` stands."""
        return self._known(self.source.key(self._inside(path)))

    def _inside(self, path: KeyPath) -> KeyPath:
        return self.path if self.whole else (*self.path, *path)

    def _known(self, place: Place) -> Place:
        return replace(place, via=self.via or place.via)


@dataclass(frozen=True)
class Unfolded(Source):
    """A source whose data has been unfolded: places are asked for by paths of the unfolded data.

    The path of a combination of a `for` has no number: all of them were written at one place.
    """

    origins: Mapping[KeyPath, Origin] = field(default_factory=dict, repr=False)

    def value(self, path: KeyPath) -> Place:
        """Return where the value at `path` stands, or the nearest table around it that exists."""
        origin, rest = self._origin(path)
        return super().value(path) if origin is None else origin.value(rest)

    def key(self, path: KeyPath) -> Place:
        """Return where the key that leads to `path` stands; of an element of a list, where the element stands."""
        origin, rest = self._origin(path)
        return super().key(path) if origin is None else origin.key(rest)

    def line(self, path: KeyPath) -> int:
        """Return the line of this very file on which the value at `path` stands, or on which it is run from there."""
        while True:
            origin, rest = self._origin(path)
            if origin is None:
                return super().value(path).line
            if origin.source.name == self.name:
                return origin.value(rest).line
            path = path[: len(path) - len(rest) - 1]

    def _origin(self, path: KeyPath) -> tuple[Origin | None, KeyPath]:
        for length in range(len(path), -1, -1):
            origin = self.origins.get(path[:length])
            if origin is not None:
                return origin, path[length:]
        return None, path
