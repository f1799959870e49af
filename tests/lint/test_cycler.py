"""What a cycler cannot tell apart."""

from dataclasses import replace

from tests.protocol.files import STATION

from .files import CYCLE, protocol, told

COARSE = replace(STATION, voltage_resolution=1e-3, current_resolution=1e-5)
TAIL = "cannot be told from noise: the cycler of station A1 has steps of"


def test_a_band_and_a_delta_below_the_resolution_are_told_where_they_stand() -> None:
    rest = '[[step]]\nrest = "2 h"\nuntil = ["5 min", "stable within 2 mV for 60 s"]\nrecord.voltage = "1 mV"\n'
    assert told(protocol(rest), COARSE) == [
        f'resolution: "stable within 2 mV for 60 s": 2 mV {TAIL} 1 mV',
        f'resolution: "1 mV": 1 mV {TAIL} 1 mV',
    ]
    assert told(protocol(rest), STATION) == told(protocol(rest)) == []
    text = protocol().replace('interval = "60 s"', 'interval = "60 s"\nvoltage = "1 mV"')
    assert told(text, COARSE) == [f'resolution: "1 mV": 1 mV {TAIL} 1 mV']


def test_a_current_below_the_resolution_is_told() -> None:
    hold = '[[step]]\ncharge = "C/10"\ncv = "3.7 V"\nuntil = ["C/1000", "20 h"]\n'
    assert told(protocol(CYCLE + hold), COARSE) == [f'resolution: "C/1000": 2.199 µA {TAIL} 10 µA']
    assert told(protocol(CYCLE.replace("C/10", "C/1000").replace("15 h", "1500 h")), COARSE) == [
        f'resolution: "C/1000": 2.199 µA {TAIL} 10 µA',
        f'resolution: "C/1000": 2.199 µA {TAIL} 10 µA',
    ]
