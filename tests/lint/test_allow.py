"""What a file lets stand, and what it cannot."""

from dataclasses import replace

from tests.protocol.files import STATION, read

from .files import CELL, CYCLE, findings, protocol, told

SHORT = CYCLE.replace('"15 h"', '"9 h"', 1)


def test_an_allowed_finding_is_not_told() -> None:
    allow = '[check]\nallow = { timeout-short = "the cell is cut off long before" }\n'
    assert [finding.code for finding in findings(protocol(SHORT))] == ["timeout-short"]
    assert told(protocol(SHORT, check=allow)) == []


def test_what_is_allowed_in_vain_is_told() -> None:
    allow = '[check]\nallow = { timeout-short = "a", windo = "b", voltage = "c", load-cell = "d" }\n'
    assert told(protocol(check=allow)) == [
        'unused-allow: timeout-short: there is no "timeout-short" here to allow',
        'unused-allow: windo: no finding has the code "windo" (did you mean "window"?)',
        'unused-allow: voltage: "voltage" is an error, and no error can be allowed',
    ]


def test_an_error_is_told_whatever_is_allowed() -> None:
    allow = '[check]\nallow = { wrong-way = "we like it" }\n'
    (finding,) = findings(protocol('[[step]]\ncharge = "C/10"\nuntil = "voltage <= 2.5 V"\n', check=allow))
    assert (finding.code, finding.severity) == ("wrong-way", "error")


def test_a_station_without_protection_can_be_allowed_too() -> None:
    bare = replace(STATION, without_takeover=("cycler",))
    allow = '[check]\nallow = { unguarded = "somebody sits beside it" }\n'
    assert [finding.code for finding in findings(protocol(), bare)] == ["unguarded"]
    assert told(protocol(check=allow), bare) == told(protocol(check=allow)) == []


def test_neither_what_is_allowed_nor_what_is_stated_changes_the_hash() -> None:
    from labctl.protocol.hash import protocol_hash

    stated = CELL + 'stated = { "1C" = "2.8 mA/cm2" }\n'
    allow = '[check]\nallow = { timeout-short = "a" }\n'
    plain = protocol_hash(read(protocol()).file)
    assert protocol_hash(read(protocol(cell=stated, check=allow)).file) == plain
    assert protocol_hash(read(protocol(SHORT)).file) != plain


def test_warnings_wait_until_there_is_no_error() -> None:
    wrong = SHORT.replace('"2.2 V"', '"voltage >= 2.2 V"')
    assert [finding.code for finding in findings(protocol(wrong))] == ["wrong-way"]
