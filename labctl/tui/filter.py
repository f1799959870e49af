"""The filter of the overview: words that a station must have, `state:run`, `cell:NMC*`, each negated by `!`."""

from fnmatch import fnmatchcase

from labctl.api import Word
from labctl.tui.sight import Seen
from labctl.tui.words import RUNNING, SAID


def passes(seen: Seen, wanted: str) -> bool:
    """Whether a station has every word of a filter; letters are alike in both cases."""
    return all(_has(seen, word.removeprefix("!")) != word.startswith("!") for word in wanted.casefold().split())


def _has(seen: Seen, word: str) -> bool:
    run = None if seen.state is None else seen.state.run
    cell = "" if run is None else run.cell.casefold()
    key, colon, pattern = word.partition(":")
    if colon and key == "state":
        return _is(seen.word, pattern)
    if colon and key == "cell":
        return fnmatchcase(cell, pattern)
    texts = [seen.name, cell, "" if run is None else run.protocol, SAID[seen.word].word]
    return any(word in text.casefold() for text in texts)


def _is(word: Word, pattern: str) -> bool:
    names = [word.value, SAID[word].word.casefold(), *(["run"] if word in RUNNING else [])]
    return any(fnmatchcase(name, f"{pattern}*") for name in names)
