"""Unfolds a file to plain steps: placeholders filled, `for` once a value, definitions, other files and tests by name.

What comes out is read like any other file, and its origins say where everything in it was written.
"""

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TypeVar

from pydantic import ValidationError

from labctl.errors import MOST_FINDINGS, Finding, Place, ProtocolError
from labctl.protocol.attached import name_of_found
from labctl.protocol.explain import explain
from labctl.protocol.here import Here
from labctl.protocol.inputs import Names, Value, choose
from labctl.protocol.origins import Origin, Unfolded
from labctl.protocol.part import FILE, Part, RunStep
from labctl.protocol.source import KeyPath, Source, parse
from labctl.protocol.templates import TESTS
from labctl.quantity import shown
from labctl.table import Model

MAX_EXPANDED = 20_000
"""Steps that all `for` loops of a file may unfold to together."""

MAX_TABLES = 30_000
"""Tables of a file, all of it unfolded."""

MAX_NESTED = 8
"""Files and definitions that run each other."""

MAX_DEPTH = 60
"""Keys and numbers of elements on the way to a step."""

_LITERAL = ("schema", "protocol", "inputs", "attached", "attached_from", "check")
M = TypeVar("M", bound=Model)
_STAND_IN: dict[str, object] = {"rest": "1 s"}
"""For a step that is refused already, so that the others can still be judged."""


@dataclass(frozen=True)
class Unfolding:
    """A file unfolded.

    Attributes:
        data: with plain steps only; None: it is too much to be looked at any further.
        source: knows where everything in `data` was written.
        parts: what the files that it runs say of themselves, with their places.
    """

    data: dict[str, object] | None
    source: Unfolded
    parts: tuple[tuple[Part, Source], ...]
    findings: list[Finding]


def unfold(source: Source, values: Mapping[str, Value]) -> Unfolding:
    """Unfold a file whose inputs have these values."""
    unfolder = _Unfolder(source)
    file = PurePath(source.name).name
    data = unfolder.file(Here(source, (), (), Names(values), file, ((file, ""),)), "step")
    attached = data.get("attached")
    if isinstance(attached, dict):
        data["attached"] = {name: text for name, text in attached.items() if not name.endswith(FILE)}
    unfolded = Unfolded(source.name, source.text, source.data, unfolder.origins)
    overflowed = unfolder.tables > MAX_TABLES
    return Unfolding(None if overflowed else data, unfolded, tuple(unfolder.parts), unfolder.findings)


class _Unfolder:
    """Walks the data of one file, and of those that it runs."""

    def __init__(self, source: Source) -> None:
        attached = source.data.get("attached")
        self.findings: list[Finding] = []
        self.origins: dict[KeyPath, Origin] = {}
        self.parts: list[tuple[Part, Source]] = []
        self.tables = 0
        self._name = source.name
        self._attached: dict[str, object] = attached if isinstance(attached, dict) else {}
        lay = source.data.get("attached_from")
        said = lay.items() if isinstance(lay, dict) else ()
        self._lay = {name: path for name, path in said if isinstance(path, str) and path.isprintable()}
        self._read: dict[str, Source | None] = {}
        self._expanded = 0
        self._defined: set[tuple[str, str]] = set()

    def _refuse(self, place: Place, reason: str, remedy: str, code: str = "input") -> None:
        self._note(Finding(code, place, reason, remedy))

    def _note(self, *findings: Finding) -> None:
        """Note what is wrong; a `for` says it once, not once a value."""
        for finding in findings:
            if len(self.findings) < MOST_FINDINGS and finding not in self.findings:
                self.findings.append(finding)

    # -- a whole file --------------------------------------------------------------------------------------------------

    def file(self, here: Here, steps: str) -> dict[str, object]:
        """Return the data of a file without its definitions, its steps unfolded under the key `steps` of the result."""
        data: dict[str, object] = {}
        for key, value in here.source.data.items():
            name = steps if key == "step" else key
            if key != "define":
                inner = replace(here.at(key), out=(*here.out, name))
                data[name] = value if key in _LITERAL else self._fill(value, inner)
        for name in here.names.values:
            if name not in here.names.used:
                reason, remedy = f'the input "{name}" changes nothing', f"Write {{{name}}} where it belongs."
                self._refuse(here.value("inputs", name), reason, remedy)
        self._check_definitions(here)
        return data

    def _check_definitions(self, here: Here) -> None:
        defined = here.source.data.get("define", {})
        if not isinstance(defined, dict):
            self._refuse(here.value("define"), "define is no table", 'Write [define] and name = [ { rest = "1 h" } ].')
            return
        for name in defined:
            if name.endswith(FILE):
                reason = f"{shown(name)} would be taken for a file"
                self._refuse(here.key("define", name), reason, "Choose a name that does not end in .toml.", "define")
            elif (here.file, name) not in self._defined:
                reason, remedy = f"nothing runs the definition {shown(name)}", f"Write {{ run = {shown(name)} }}."
                self._refuse(here.key("define", name), reason, remedy, "define")

    # -- values --------------------------------------------------------------------------------------------------------

    def _fill(self, value: object, here: Here) -> object:
        if isinstance(value, str):
            return here.names.fill(value, lambda reason, remedy: self._refuse(here.value(), reason, remedy))
        if isinstance(value, list):
            return [self._fill(item, here.at(index)) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if not self._has_room(1, here):
            return {}
        if here.is_step:
            return self._step(value, here)
        return {key: self._fill(item, here.at(key)) for key, item in value.items()}

    def _has_room(self, tables: int, here: Here) -> bool:
        self.tables += tables
        if self.tables <= MAX_TABLES:
            return True
        reason = f"this file unfolds to more than {MAX_TABLES} tables"
        self._refuse(here.source.start(), reason, "Use fewer values, or a `repeat`.")
        return False

    def _step(self, step: dict[str, object], here: Here) -> dict[str, object]:
        if "for" in step and isinstance(step.get("do"), list):
            return self._for(step, here)
        if re.search(r"[{}]", str(step.get("run", ""))):
            reason, remedy = "what is run cannot hang on an input", "Write its name; choose with an `if`."
            self._refuse(here.value("run"), reason, remedy, "run")
            return dict(_STAND_IN)
        filled = {str(key): self._fill(item, here.at(key)) for key, item in step.items()}
        if "run" in step:
            return self._run(filled, here)
        test = next((verb for verb in TESTS if verb in step), None)
        if test is not None:
            return self._test(test, filled, here)
        if filled.pop("part", None) is not None:
            self._refuse(here.key("part"), '"part" is unknown here', "Leave it out.", "unknown-key")
        if isinstance(step.get("profile"), str) and step["profile"] == filled["profile"]:
            filled["profile"] = here.beside(str(step["profile"]))
        return filled

    def _for(self, step: dict[str, object], here: Here) -> dict[str, object]:
        """Give a `for` step one list of steps for each combination of its values."""
        filled = {str(key): self._fill(item, here.at(key)) for key, item in step.items() if key != "do"}
        axes, body = filled["for"], step["do"]
        if not isinstance(axes, dict) or not isinstance(body, list):
            return filled | {"do": [self._fill(body, here.at("do"))]}
        for name in axes:
            if name in here.names.values:
                reason = f'"{name}" is the name of something else here'
                self._refuse(here.value("for", name), reason, "Choose another name.")
        bodies: list[object] = []
        for combination in itertools.product(*(axis if isinstance(axis, list) else [] for axis in axes.values())):
            self._expanded += max(1, len(body))
            if self.tables > MAX_TABLES:
                break
            if self._expanded > MAX_EXPANDED:
                reason = f"the `for` loops of this file unfold to more than {MAX_EXPANDED} steps"
                self._refuse(here.value("for"), reason, "Use fewer values, or a `repeat`.")
                break
            own = {name: item for name, item in zip(axes, combination, strict=True) if _is_value(item)}
            bodies.append(self._fill(body, replace(here.at("do"), names=here.names.with_(own))))
        filled["do"] = bodies
        return filled

    # -- steps that are written elsewhere ------------------------------------------------------------------------------

    def _run(self, filled: dict[str, object], here: Here) -> dict[str, object]:
        """Put the steps of a definition or of a file in the place of the step that runs them."""
        step = self._form(RunStep, filled, here)
        if step is None:
            return dict(_STAND_IN)
        path = self._file(step.run, here)
        found = self._of_definition(step, here) if path is None else self._of_file(step, path, here)
        return _group(step.run, step.name, found) if found.get("do") else dict(_STAND_IN)

    def _file(self, name: str, here: Here) -> str | None:
        """Return under which name a file is attached that `run` names here; None where it names a definition."""
        beside, found = here.beside(name), name_of_found(name)
        if name.endswith(FILE):
            return found if found in self._attached and beside not in self._attached else beside
        defined = here.source.data.get("define")
        return found if found in self._attached and not (isinstance(defined, dict) and name in defined) else None

    def _of_definition(self, step: RunStep, here: Here) -> dict[str, object]:
        defined = here.source.data.get("define")
        known = defined if isinstance(defined, dict) else {}
        if step.run not in known:
            near = difflib.get_close_matches(step.run, list(known), n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            reason = f"nothing is defined as {shown(step.run)}{hint}"
            remedy = "Define it in [define], or name a file beside this one, or what `labctl protocols` lists."
            self._refuse(here.value("run"), reason, remedy, "run")
            return {}
        self._defined.add((here.file, step.run))
        if step.inputs:
            reason, remedy = "a definition has no inputs of its own", "Leave them out; put a `for` around this step."
            self._refuse(here.key("inputs"), reason, remedy, "run")
        steps, inner = known[step.run], here.inside((here.file, step.run), here.source, ("define", step.run))
        if not isinstance(steps, list) or not steps:
            reason = f"{shown(step.run)} is no list of steps"
            self._refuse(inner.value(), reason, 'Write [ { rest = "1 h" } ].', "define")
        if not isinstance(steps, list) or not self._may_run(inner, here):
            return {}
        self.origins[inner.out] = inner.origin
        return {"do": self._fill(steps, inner)}

    def _of_file(self, step: RunStep, path: str, here: Here) -> dict[str, object]:
        part = self._part(path, here)
        if part is None:
            return {}
        inner = here.inside((path, ""), part, ())
        if not self._may_run(inner, here):
            return {}
        settings = {name: str(value) for name, value in step.inputs.items()}
        values, findings = choose(part, settings, lambda name: here.value("inputs", name))
        self._note(*findings)
        for key, at in (("step", "do"), ("limits", "limits"), ("record", "record")):
            self.origins[(*here.out, at)] = replace(inner.origin, path=(key,))
        data = self.file(replace(inner, out=here.out, names=Names(values)), "do")
        steps = data.pop("do", None)
        about = self._form(Part, data, inner)
        if about is None:
            return {}
        self.parts.append((about, _view(inner)))
        if not isinstance(steps, list) or not steps:
            self._refuse(inner.value(), "this file has no steps", "Write at least one [[step]].", "run")
            return {}
        return {key: data[key] for key in ("limits", "record") if key in data} | {"do": steps}

    def _part(self, path: str, here: Here) -> Source | None:
        """Return a file that is attached to the outermost one; what keeps it from being read is noted."""
        text = self._attached.get(path)
        if not isinstance(text, str):
            reason = f"{shown(path)} did not come with this protocol"
            self._refuse(here.value("run"), reason, "Give the name of a file in its folder or below.", "run")
            return None
        if path not in self._read:
            self._read[path] = None
            try:
                lay = self._lay.get(path, str(PurePath(self._name).parent / path))
                self._read[path] = parse(lay, text, ProtocolError)
            except ProtocolError as error:
                self._note(*error.findings)
        return self._read[path]

    def _may_run(self, inner: Here, here: Here) -> bool:
        called = inner.chain[-1]
        again = called in here.chain
        told = " runs ".join(name or file for file, name in inner.chain[inner.chain.index(called) if again else 0 :])
        if again:
            self._refuse(here.value("run"), f"this never ends: {told}", "Write a `repeat`.", "run")
            return False
        if len(here.chain) > MAX_NESTED or len(inner.out) > MAX_DEPTH:
            reason = f"more than {MAX_NESTED} files and definitions run each other here: {told}"
            self._refuse(here.value("run"), reason, "No protocol needs that.", "run")
            return False
        return True

    def _test(self, verb: str, filled: dict[str, object], here: Here) -> dict[str, object]:
        """Put the plain steps of a test in the place of its name."""
        test = self._form(TESTS[verb], filled, here)
        steps = [] if test is None else test.steps()
        if test is None or not self._has_room(4 * len(steps), here):
            return dict(_STAND_IN)
        origin = replace(here.at(verb).origin, whole=True)
        self.origins[(*here.out, "do")] = origin
        keys = {text.lstrip("+-"): path for path, text in _texts(filled[verb], (*here.path, verb))}
        for path, text in _texts(steps, (*here.out, "do")):
            if text in keys:
                self.origins[path] = replace(origin, path=keys[text])
        limits = {key: filled[key] for key in ("limits",) if key in filled}
        return _group(verb, test.name, {**limits, "do": steps})

    def _form(self, form: type[M], data: dict[str, object], here: Here) -> M | None:
        """Return a table read; None where its form is wrong, which is noted."""
        try:
            return form.model_validate(data)
        except ValidationError as error:
            self._note(*explain(error, form, _view(here)))
            return None


def _view(here: Here) -> Source:
    """Return a source whose places are those of the table here."""
    return Unfolded(here.source.name, here.source.text, {}, {(): here.origin})


def _texts(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield every text in a value, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))


def _group(part: str, name: str | None, found: dict[str, object]) -> dict[str, object]:
    """Return the plain step that does the same: a list of steps of its own, done once, that counts no cycles."""
    named = {} if name is None else {"name": name}
    return {"repeat": 1, "counts": "none", "part": part, **named, **found}


def _is_value(item: object) -> bool:
    return isinstance(item, str | int) and not isinstance(item, bool)
