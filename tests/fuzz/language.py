"""A search for a file that the protocol language does not stand: guided by the lines that an input reaches.

A file may be refused by located sentences, or become a plan that does what the file says and nothing beyond its limits.
Anything else is a bug: another exception, a hang, a limit or a step that the plan has lost.
"""

import math
import re
import resource
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from labctl.errors import Finding, ProtocolError
from labctl.lint import check_source
from labctl.plan import Bound, ConstantCurrent, ConstantVoltage, MeasuredCurrent, Plan, StationAbilities
from labctl.protocol import bind
from labctl.protocol.ends import compares
from labctl.protocol.load import fill
from labctl.protocol.scale import Scale
from labctl.protocol.source import parse
from labctl.protocol.verbs import CLASSES
from labctl.quantity import QuantityError
from labctl.quantity import parse as quantity
from tests.protocol.files import BARE, HEAD, LIBRARY, STATION

from .mutate import bytes_damaged
from .reach import Reach
from .tree import mutated

PATIENCE = 10.0
"""s of the processor for one file, watched: several times what the largest takes."""
NAME = "p.toml"
LARGEST = 40_000
"""Characters of a file that is kept."""
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_.]+|\d+|\s+|.')
WATCHED = ("labctl/protocol", "labctl/lint", "labctl/quantity")

_REFUSED = Path(__file__).parents[1] / "protocol" / "refused.txt"
_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"


class Broken(AssertionError):
    """A file did what none may do."""


def seeds() -> list[str]:
    """The library, the examples of the reference page, and steps that are refused one by one."""
    examples = re.findall(r"```toml\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    steps = [step.split("=> ")[0] for step in _REFUSED.read_text(encoding="utf-8").split("\n\n")]
    alone = HEAD.removesuffix("[[step]]\n")
    return [
        *(file.read_text(encoding="utf-8") for file in sorted(LIBRARY.glob("*/*.toml"))),
        *(example if "[protocol]" in example else alone + example for example in examples),
        *(HEAD + step for step in steps if not step.startswith("#")),
    ]


def judge(text: str, reach: Reach | None = None) -> Plan | None:
    """Return the plan of a file, or None where it is refused as it should be; raises Broken.

    What the check of it reaches is noted in `reach`.
    """
    began = _processor_seconds()
    try:
        plan = _judged(text, reach or Reach())
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    took = _processor_seconds() - began
    if took > PATIENCE:
        raise Broken(f"took {took:.1f} s")
    return plan


def _processor_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def _judged(text: str, reach: Reach) -> Plan | None:
    with reach.watching():
        try:
            source = parse(NAME, text, ProtocolError)
        except ProtocolError as error:
            _located(error.findings, text)
            return None
        found = check_source(source, STATION)
    refused = any(finding.severity == "error" for finding in found)
    _located(found, text)
    try:
        plan = bind(fill(source, {}), STATION)
        if refused:
            raise Broken(f"a plan is made of a file that the check refuses: {found[0].reason}")
        for wrong in (*_lost(tomllib.loads(text), plan), *_beyond(plan, STATION)):
            raise Broken(wrong)
        bind(fill(source, {}), BARE)
    except ProtocolError as error:
        _located(error.findings, text)
        if not error.findings:
            raise Broken("a file is refused without a finding") from None
    return None if refused else plan


def _located(findings: Sequence[Finding], text: str) -> None:
    lines = text.count("\n") + 1
    for finding in findings:
        place = finding.place
        last = lines if place.file == NAME else math.inf
        if not (finding.reason and 1 <= place.line <= last and place.column >= 1 and place.length >= 1):
            raise Broken(f"a finding has no sentence or no place: {finding}")
        if any(not character.isprintable() and character != "\n" for character in str(finding)):
            raise Broken(f"a finding has a control character: {finding!r}")


def _lost(data: dict[str, object], plan: Plan) -> Iterator[str]:
    """Yield what the file says and the plan does not: limits, and steps."""
    said, scale = data["limits"], Scale(plan.cell)
    assert isinstance(said, dict)
    kept = {
        "voltage": plan.limits.voltage,
        "current": Bound(high=plan.limits.current),
        "capacity": Bound(high=plan.limits.capacity),
        "temperature": plan.limits.temperature,
        "torque": Bound(high=plan.limits.torque),
    }
    for key, bound in kept.items():
        if key in said and not _within(bound, said[key], scale):
            yield f"limits.{key} is {said[key]} in the file and {bound} in the plan"
    pressure = said.get("pressure", {})
    for names, bound in (
        (("negative", "anode"), plan.limits.pressure_negative),
        (("positive", "cathode"), plan.limits.pressure_positive),
    ):
        for name in names:
            if name in pressure and not _within(bound, pressure[name], scale):
                yield f"limits.pressure.{name} is {pressure[name]} in the file and {bound} in the plan"
    if len(list(plan.steps())) < sum(1 for _ in _steps(data["step"])):
        yield "the plan has fewer steps than the file"


def _within(bound: Bound, said: object, scale: Scale) -> bool:
    """Whether a limit of the plan is no wider than what a file says; braces are for inputs to say."""
    low, high = said if isinstance(said, list) else (None, said)
    for text, side, sign in ((low, bound.low, -1.0), (high, bound.high, 1.0)):
        if text is None or "{" in str(text):
            continue
        try:
            value = _si(str(text), scale)
        except QuantityError:
            return False
        if side is None or sign * side > sign * value + 1e-9 * abs(value):
            return False
    return True


def _si(text: str, scale: Scale) -> float:
    value = quantity(text)
    match value.dimension.value:
        case "C-rate" | "current" | "current density" | "specific current":
            return scale.amperes(value)
        case "capacity" | "specific capacity" | "areal capacity":
            return scale.coulombs(value)
        case "voltage" | "voltage vs Li":
            return scale.volts(value)
    return float(value)


def _steps(steps: object) -> Iterator[dict[str, object]]:
    """Yield the tables of a file that are steps and hold no others."""
    for step in steps if isinstance(steps, list) else ():
        inner = [step[key] for key in ("do", "else") if key in step]
        inner += [hook["do"] for hook in step.get("at", ())]
        for each in inner:
            yield from _steps(each)
        if not inner and "run" not in step and set(step) & set(CLASSES):
            yield step


def _beyond(plan: Plan, station: StationAbilities) -> Iterator[str]:
    """Yield what the plan does beyond its limits, and what might never end."""
    limits = plan.limits
    if limits.current > min(station.current or math.inf, station.current_limit or math.inf):
        yield "the limit of current is wider than the station's"
    for step in plan.steps():
        action, window = step.action, (step.limits or limits).voltage
        if isinstance(action, ConstantCurrent):
            if not 0.0 < abs(action.current) <= (step.limits or limits).current:
                yield f"a step drives {action.current} A under a limit of {limits.current} A"
            if not _inside(action.voltage, window):
                yield f"a step goes to {action.voltage} V, which is outside {window}"
        if isinstance(action, ConstantVoltage) and action.relative is None and not _inside(action.voltage, window):
            yield f"a step holds {action.voltage} V, which is outside {window}"
        if isinstance(action, MeasuredCurrent) and not _inside(action.voltage, window):
            yield f"a step goes to {action.voltage} V, which is outside {window}"
        if isinstance(action, ConstantCurrent | MeasuredCurrent | ConstantVoltage) and not (
            step.timeout or _ends_for_certain(step)
        ):
            yield f"nothing ends the step of line {step.line} for certain"


def _inside(value: float, window: Bound) -> bool:
    low, high = window.low, window.high
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def _ends_for_certain(step: object) -> bool:
    ends = getattr(step, "ends", ())
    named = {compare.quantity.value for end in ends for compare in compares(end.condition)}
    return bool(named & {"time", "capacity", "test_time", "capacity of cycle"})


@dataclass
class Found:
    """What a search came to.

    Attributes:
        kept: inputs that reached new lines, beside the seeds.
        plans: how many of the inputs became a plan.
        broken: the first file that did what none may, made short, and what it did.
    """

    tried: int = 0
    plans: int = 0
    lines: int = 0
    kept: list[str] = field(default_factory=list)
    broken: tuple[str, str] | None = None


def search(seed: int, tries: int, corpus: Sequence[str], until: Callable[[], bool] = lambda: False) -> Found:
    """Try the corpus, then mutants of it and of whatever reached new lines, until one breaks, or for so many tries."""
    random, reach, found = Random(seed), Reach(*WATCHED), Found()
    alive = [text for text in corpus if _try(text, reach, found)]
    while found.broken is None and found.tried < tries + len(corpus) and not until():
        # what was found last is nearest to what was never reached
        pool = found.kept[-20:] if found.kept and random.random() < 0.5 else alive
        text = _mutant(random.choice(pool), alive, random)
        if len(text) <= LARGEST and _try(text, reach, found):
            found.kept.append(text)
            alive.append(text)
    found.lines = len(reach.lines)
    return found


def _try(text: str, reach: Reach, found: Found) -> bool:
    """Judge a file; whether it reached a line that none before has."""
    before = len(reach.lines)
    found.tried += 1
    try:
        found.plans += judge(text, reach) is not None
    except Broken as broken:
        found.broken = found.broken or (shortened(text, str(broken)), str(broken))
    return len(reach.lines) > before


def shortened(text: str, what: str) -> str:
    """Leave out lines as long as the file does the same."""
    lines, at = text.split("\n"), 0
    while at < len(lines) and len(lines) < 400:
        fewer = lines[:at] + lines[at + 1 :]
        try:
            judge("\n".join(fewer))
            at += 1
        except Broken as broken:
            if str(broken)[:30] == what[:30]:
                lines = fewer
            else:
                at += 1
    return "\n".join(lines)


def _mutant(text: str, others: Sequence[str], random: Random) -> str:
    match random.randrange(6):
        case 0:
            return bytes_damaged(text.encode(), random).decode(errors="replace")
        case 1:
            return _tokens_swapped(text, random.choice(others), random)
        case 2 | 3:
            return _another_digit(text, random)
    return mutated(text, others, random)


def _another_digit(text: str, random: Random) -> str:
    """Change a few digits: most such files are still right in form, and some of them say something else."""
    digits = [match.start() for match in re.finditer(r"\d", text)]
    letters = list(text)
    for at in random.sample(digits, min(len(digits), random.choice((1, 1, 1, 2, 5)))):
        letters[at] = random.choice("0123456789")
    return "".join(letters)


def _tokens_swapped(text: str, other: str, random: Random) -> str:
    tokens, words = TOKEN.findall(text), TOKEN.findall(other)
    for _ in range(random.choice((1, 2, 4))):
        if tokens and words:
            tokens[random.randrange(len(tokens))] = random.choice(words)
    return "".join(tokens)
