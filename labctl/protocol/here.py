"""Where the walk through a file and the files that it runs is: what is read there, and where it goes to."""

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from labctl.errors import Place
from labctl.protocol.inputs import Names
from labctl.protocol.origins import Origin
from labctl.protocol.source import KeyPath, Source

LISTS = ("step", "do", "else")
"""Keys of lists of steps."""


@dataclass(frozen=True)
class Here:
    """Where the walk is.

    Attributes:
        source, path: the file that is read, and where in it; `file` is its path as seen from the outermost one.
        out: where in the unfolded data; without the numbers of combinations of a `for`.
        chain: the files and definitions that are being run, from the outermost one inwards.
        via: from where it is run.
    """

    source: Source
    path: KeyPath
    out: KeyPath
    names: Names
    file: str
    chain: tuple[tuple[str, str], ...]
    via: str = ""

    def at(self, *keys: str | int) -> "Here":
        """Return the place below this one."""
        return replace(self, path=(*self.path, *keys), out=(*self.out, *keys))

    def value(self, *keys: str | int) -> Place:
        """Return where the value stands that is written below."""
        return replace(self.source.value((*self.path, *keys)), via=self.via)

    def key(self, *keys: str | int) -> Place:
        """Return where the key stands that leads there."""
        return replace(self.source.key((*self.path, *keys)), via=self.via)

    @property
    def origin(self) -> Origin:
        """Return this place as the origin of what is unfolded from it."""
        return Origin(self.source, self.path, self.via)

    @property
    def is_step(self) -> bool:
        """Whether an element of a list of steps is here."""
        if len(self.path) < 2 or not isinstance(self.path[-1], int):
            return False
        return self.path[-2] in LISTS or (self.path[0] == "define" and len(self.path) == 3)

    def beside(self, name: str) -> str:
        """Return the path of a file that is named here, as seen from the outermost one."""
        return str(PurePosixPath(self.file).parent / name)

    def inside(self, called: tuple[str, str], source: Source, path: KeyPath) -> "Here":
        """Return where the steps that the step here runs begin."""
        place = self.key()
        via = f"{place.file}:{place.line}" + (f", and that from {self.via}" if self.via else "")
        chain, out = (*self.chain, called), (*self.out, "do")
        return Here(source, path, out, self.names, called[0], chain, via)
