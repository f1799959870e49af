"""Every code that a finding of a protocol can have: what it means, why it matters, what to do about it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding.

    Attributes:
        of_station: whether it is found only where a station is named.
    """

    severity: Severity
    means: str
    why: str
    remedy: str
    of_station: bool = False


CODES: dict[str, Code] = {
    # -- errors: the file cannot run, here or anywhere
    "file": Code(
        "error",
        "a file cannot be read",
        "a protocol is an ordinary, readable UTF-8 file of at most 500 kB, and so is what it refers to",
        "correct the path, or the file",
    ),
    "toml": Code(
        "error",
        "the text is not TOML, or is nested or sized beyond what a protocol needs",
        "what cannot be parsed in one way only is not guessed at",
        "mend the place that is named; see https://toml.io/en/v1.0.0",
    ),
    "value": Code(
        "error",
        "a value is not what its key takes: no unit, the wrong unit, no number, not one of the allowed words",
        "a bare 4.3 could be V or mA; nothing is assumed",
        "write it as the sentence shows",
    ),
    "missing": Code(
        "error",
        "a key or table is not there that must be",
        "what decides over a cell has no default",
        "add it",
    ),
    "unknown-key": Code(
        "error",
        "a key is not known where it stands, or stands twice under two names",
        "a misspelt limit would be no limit",
        "correct the spelling; the sentence names the nearest key",
    ),
    "verb": Code(
        "error",
        "a step has no verb, an unknown one, or two",
        "one step does one thing",
        "write one verb a step",
    ),
    "not-built": Code(
        "error",
        "the language knows this, and this version does not",
        "nothing of a protocol is dropped silently",
        "use what this version runs, or a newer one",
    ),
    "input": Code(
        "error",
        "an input, a placeholder or a `--set` is unknown, unused or out of its range",
        "an input that changes nothing was meant to change something",
        "declare it in [inputs], use it, or stay in its range",
    ),
    "cell": Code(
        "error",
        "the cell lacks what a quantity needs, or says twice what 1C is",
        "1C, mA/cm2, mAh/g and MPa are amperes, coulombs and newtons only on a cell that is described",
        "add the key that the sentence names to [cell] or to the cell file",
    ),
    "limits": Code(
        "error",
        "a limit contradicts another, or a set point lies outside its limits or on them",
        "limits of station, cell, protocol and step only narrow each other; noise trips a limit that is a set point",
        "move the set point, or correct the limit",
    ),
    "voltage": Code(
        "error",
        "a cut-off or set point of voltage is not inside the limits, or shorts a full cell",
        "safety must lie beyond every cut-off",
        "change the cut-off or the limit; say the cell's kind where 0 V is meant",
    ),
    "current": Code(
        "error",
        "a current is beyond its limit, or zero",
        "the lowest of station, cell file, [limits] and step counts",
        "lower the current; write a rest where none is meant",
    ),
    "pressure": Code(
        "error",
        "a pressure step names no side, or not how fast",
        "a screw that is driven without a ramp can crush a stack",
        "write side and ramp",
    ),
    "power": Code(
        "error",
        "a power is zero",
        "a step that drives nothing is a rest, and says so",
        "write a rest",
    ),
    "sweep": Code(
        "error",
        "a sweep has no corners, or stairs coarser than its resolution at the station's poll period",
        "a staircase in place of a ramp is another experiment",
        "name the voltages where it begins and turns; sweep slower, or allow coarser stairs",
    ),
    "profile": Code(
        "error",
        "a profile is not there, is no table of times and values, or leaves the limits",
        "what another laboratory runs must be in the protocol, and all of it within its limits",
        "correct the file that the sentence names, or the limits",
    ),
    "prompt": Code(
        "error",
        "what a simulated operator says is none of the allowed answers",
        "a rehearsal would wait for ever",
        "write one of the answers",
    ),
    "station": Code(
        "error",
        "the station lacks the instrument, the range or the sensor that is asked for",
        "it would be found out with a cell in the rig",
        "choose another station, or leave it out",
    ),
    "load-cell-blind": Code(
        "error",
        "the load cell may be wrong by more than half of the asked pressure",
        "5 kN with 1 % of full scale are 0.64 MPa on 10 mm: 0.2 MPa is not seen, and whatever is there passes for it",
        "choose a load cell of a smaller capacity or a better class",
        of_station=True,
    ),
    "screw-step": Code(
        "error",
        "the pressure moves by so much with the smallest turn of the screw that the asked band cannot be kept",
        "a screw that sticks slips by about two such turns: what is smaller than three is always missed",
        "put disc springs of the stiffness that the sentence names in series, use a gear, or ask for a wider band",
        of_station=True,
    ),
    "spectrum-band": Code(
        "error",
        "a frequency of a spectrum is outside the band that the station measures impedance in",
        "the instrument would refuse it with a cell in the rig, or answer with its leads",
        "stay in the band that the sentence names, or choose another station",
        of_station=True,
    ),
    "condition": Code(
        "error",
        "a condition says nothing in its step, is ambiguous, or can never be met",
        "a step would end at once, or never",
        "write it as the sentence shows",
    ),
    "wrong-way": Code(
        "error",
        "a cut-off points away from where its step drives the cell",
        "it is met at once or never: charge and discharge are probably swapped",
        "turn it round",
    ),
    "unbounded": Code(
        "error",
        "nothing ends a step for certain",
        "a soft-shorted cell never reaches its cut-off, and a bath may never settle",
        "give it a time-out, a time or a capacity",
    ),
    "label": Code(
        "error",
        "a `goto`, `break` or hook leads nowhere",
        "jumps lead forward, to a name that is given once",
        "correct the name; to go back, repeat",
    ),
    "unreachable": Code(
        "error",
        "a step can never be reached",
        "it was meant to be",
        "remove it, or the end before it",
    ),
    "cycles": Code(
        "error",
        "it is ambiguous or contradictory what a cycle is",
        "capacities, retention and hooks are counted by it",
        'write counts = "cycle" on the loop whose passes are cycles',
    ),
    "run": Code(
        "error",
        "what a step runs is not there, never ends, or lies outside the folder of the protocol",
        "a protocol that is mailed must bring all that it runs with it",
        "name a definition, or a .toml in the folder of the file or below it",
    ),
    "define": Code(
        "error",
        "a definition is no list of steps, has the name of a file, or is run by nothing",
        "steps that nothing runs were meant to be run",
        "write name = [ ... ] in [define], and run it",
    ),
    "part": Code(
        "error",
        "a file that is run says something else of the cell or of an outage than the protocol that runs it",
        "there is one cell and one run",
        "make them agree, or leave it out of the file that is run",
    ),
    "layout": Code(
        "error",
        "a file cannot be laid out anew without changing what it says",
        "`labctl fmt` changes no meaning and loses no comment",
        "leave its layout as it is",
    ),
    # -- warnings: it runs, and a careful colleague would ask
    "not-closing": Code(
        "warning",
        "figures that the source gives do not agree, beyond rounding and 5 %",
        "one of them is wrong or means something else, such as composite for active material; all C-rates follow it",
        "ask the source; then correct the figure, or allow the finding with what you found",
    ),
    "n-p-ratio": Code(
        "warning",
        "the negative electrode holds less than the positive one gives",
        "lithium is plated, or the wrong electrode ends the charge",
        "check both loadings",
    ),
    "plateau": Code(
        "warning",
        "a Li-In electrode has more than one Li for each In, as assembled or when charged",
        "beyond Li:In = 1 its potential falls from 0.62 V vs Li, and every conversion with it",
        "use less lithium, more indium, or a reference electrode",
    ),
    "counter-potential": Code(
        "warning",
        "the potential given for the counter electrode is not that of its material",
        'every "vs Li" is converted by it: a cut-off would be off by the difference',
        "correct it, or say where it comes from",
    ),
    "window": Code(
        "warning",
        "the cell is driven to where its positive electrode is not driven, against lithium",
        "4.3 V vs Li sent unconverted to a cell with Li-In is 4.92 V vs Li",
        'write "vs Li" where the source means it',
    ),
    "cv-jump": Code(
        "warning",
        "a constant voltage begins elsewhere than where the current before it stopped",
        "the step drives a surge of current through the cell",
        "hold the voltage at which the charge stopped",
    ),
    "limit-close": Code(
        "warning",
        "a cut-off lies within 10 mV of the limit of voltage",
        "noise or the last poll before the cut-off trips the run",
        "leave more room",
    ),
    "end-behind-limit": Code(
        "warning",
        "an end lies beyond the limit of its own quantity",
        "the limit trips first, and the end is never met",
        "widen the limit, or end within it",
    ),
    "capacity-limit": Code(
        "warning",
        "the limit of capacity is less than an hour at 1C",
        "a full charge or discharge trips",
        "write what the active material holds at most, and some room",
    ),
    "cycle-later": Code(
        "warning",
        "a rate is told by the capacity of a cycle that this run cannot have completed when its step first begins",
        "such a step ends the run before a current flows",
        "name an earlier cycle; in a run that goes on counting (`--continue`) the number may be right: allow it",
    ),
    "timeout-short": Code(
        "warning",
        "a time-out comes before a full pass at the step's current could end",
        "a time-out is a fault and ends the run",
        'give it more time, or write then = "next"',
    ),
    "spectrum-slow": Code(
        "warning",
        "a spectrum takes more than an hour, or more than its time-out",
        "three periods of 1 mHz are 50 min: the cell changes meanwhile, and a time-out is a fault",
        "end at a higher frequency, measure fewer points a decade, or give it more time",
    ),
    "spectrum-amplitude": Code(
        "warning",
        "the sine of an `eis` is larger than 20 mV rms",
        "a charge transfer is linear well below RT/F, 26 mV at 25 °C, alone; beyond it an impedance is none (Orazem and"
        " Tribollet, Electrochemical Impedance Spectroscopy, Wiley 2017)",
        "take 10 mV rms or less, and geis where the cell is larger",
    ),
    "spectrum-unrested": Code(
        "warning",
        "a spectrum at open circuit follows a current without a rest",
        "the voltage relaxes while the low frequencies are measured, and the sine is not around it any more",
        "rest first, until the voltage is stable",
    ),
    "locked-gap": Code(
        "warning",
        "the temperature changes while a gap is locked",
        "100 mm of steel grow by 18 µm in 15 K, more than the cell breathes: the pressure follows the bath",
        "set the temperature first, or close the loop on the force",
    ),
    "breathing": Code(
        "warning",
        "with its gap locked, the lithium of a full charge raises the pressure beyond its limit",
        "the run trips in its first charge",
        "lock at less, put a spring in series, or close the loop on the force",
        of_station=True,
    ),
    "calibration": Code(
        "warning",
        "a side is pressed whose torque calibration is missing or has expired",
        "how a torque and a force belong together is known for a rig, its load cell and a time, and differs by half",
        "calibrate it; `labctl run` and `labctl start` refuse without --consent",
        of_station=True,
    ),
    "load-cell": Code(
        "warning",
        "the load cell's error is larger than the band in which the pressure is to be kept",
        "500 N with 1 % of full scale are 64 kPa on 10 mm: ±10 kPa is not told from ±50 kPa",
        "choose a load cell of a smaller capacity or a better class, or a wider band",
        of_station=True,
    ),
    "by-hand": Code(
        "warning",
        "a force is to be kept on a side that a person presses, or with a press that does not lock itself",
        "a person is asked once: creep takes 5 to 20 % in the first hours, and the cell breathes",
        "lock the gap, ask again where it matters, or use a rig",
        of_station=True,
    ),
    "torque": Code(
        "warning",
        "the asked pressure takes more torque than the drive gives, for a moment or for ever",
        "it would end in a time-out, or with a hot drive",
        "ask for less, oil and calibrate the screw, or use a press",
        of_station=True,
    ),
    "resolution": Code(
        "warning",
        "a voltage or a current is less than three steps of the cycler's resolution",
        "noise meets the condition, or makes every row due",
        "a coarser value, or a finer cycler",
        of_station=True,
    ),
    "unguarded": Code(
        "warning",
        "nothing, or only the instrument itself, bounds the cell or holds its pressure when this software fails",
        "no guard can take over an instrument that one process holds",
        "stay there, or consent to it",
        of_station=True,
    ),
    "unused-allow": Code(
        "warning",
        "[check] allows what is not found here, what nothing is called, or an error",
        "a suppression that outlives its cause hides the next one",
        "remove it, or correct the code",
    ),
    # -- notes
    "no-rows": Code(
        "note",
        "nothing says when a row is due in a step",
        "only its first and its last row would be recorded",
        "write [record]",
    ),
    "not-comparable": Code(
        "note",
        "a stated figure cannot be compared, because the cell is not described enough",
        "what is not compared is not checked",
        "add what the source gives",
    ),
}
