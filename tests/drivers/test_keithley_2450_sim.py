"""The simulated Keithley 2450: SCPI as its manual has it, the off-state hazard, and PyMeasure as independent client."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymeasure.instruments.keithley import Keithley2450 as PyMeasure2450

from drivers.keithley_2450.driver import Keithley2450
from drivers.keithley_2450.sim import Simulator
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.cell import CurrentSource, Open, VoltageSource

NO_ERROR = b'0,"No error;0;0 0"\n'


@pytest.fixture
def bench() -> Bench:
    return Bench.of(BenchParameters(), seed=1)


@pytest.fixture
def smu(bench: Bench) -> Simulator:
    return Simulator(bench, "cell", Keithley2450.Options())


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (b"*IDN?\n", b"KEITHLEY INSTRUMENTS,MODEL 2450,04399999,1.7.12b\n"),
        (b"*OPC?\n", b"1\n"),
        (b":SOURce1:VOLTage:LEVel 1.5;:sour:volt?\n", b"1.5\n"),
        (b"SOUR:VOLT 1.5;CURR 1e-3;:SOUR:VOLT?;CURR?\n", b"1.5;0.001\n"),
        (b":SOUR:VOLT:ILIM 1e-3;ILIM?;READ:BACK OFF;BACK?\n", b"0.001;0\n"),
        (b":SENSE1:VOLTAGE:DC:NPLCYCLES 2;:SENS:VOLT:NPLC?\n", b"2\n"),
        (b":CURR:RANG 0.003;:SENS:CURR:RANG?;RANG:AUTO?\n", b"0.01;0\n"),
        (b":SENS:FUNC 'VOLT';:SENS:FUNC?\n", b'"VOLT:DC"\n'),
        (b":OUTP:SMOD GUAR;:OUTP:VOLT:SMOD?;:OUTP:CURR:SMOD?\n", b"GUAR;GUAR\n"),
        (b":SENS:FUNC 'VOLT';:SENS:VOLT:NPLC 1.000000;\n", b""),
        (b"\n", b""),
    ],
)
def test_headers(smu: Simulator, message: bytes, answer: bytes) -> None:
    assert smu.receive(message) == answer
    assert smu.receive(b":SYST:ERR?\n") == NO_ERROR


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b":SOUR:VOLTS 1\n", b'-113,"Undefined header;1;'),
        (b":SOUR:VOLT:ILIM:TRIP 1\n", b'-113,"Undefined header;1;'),
        (b":SYST:ERR\n", b'-113,"Undefined header;1;'),
        (b":SOUR:VOLT 211\n", b'-222,"Parameter data out of range;1;'),
        (b":SOUR:VOLT nan\n", b'-222,"Parameter data out of range;1;'),
        (b":SOUR:VOLT:RANG 2;:SOUR:VOLT 2.2\n", b'-222,"Parameter data out of range;1;'),
        (b":SENS:CURR:RANG 1;:SOUR:VOLT:ILIM 1e-3\n", b'-222,"Parameter data out of range;1;'),
        (b":SOUR:VOLT high\n", b'-104,"Data type error;1;'),
        (b":SOUR:VOLT\n", b'-109,"Missing parameter;1;'),
        (b":OUTP:VOLT:SMOD OPEN\n", b'-224,"Illegal parameter value;1;'),
        (b":OUTP MAYBE\n", b'-224,"Illegal parameter value;1;'),
        (b':READ? "nobuffer"\n', b'-224,"Illegal parameter value;1;'),
        (b':READ? "defbuffer1",COLOUR\n', b'-224,"Illegal parameter value;1;'),
    ],
)
def test_errors_are_queued_once(smu: Simulator, bench: Bench, message: bytes, code: bytes) -> None:
    assert smu.receive(message) == b""
    assert smu.receive(b":SYST:ERR?\n").startswith(code)
    assert smu.receive(b":SYST:ERR?\n") == NO_ERROR
    assert isinstance(bench.cell.source, Open)


def test_a_message_ends_at_its_first_error(smu: Simulator) -> None:
    assert smu.receive(b"*OPC?;:NONSENSE;:OUTP ON\n") == b"1\n"
    assert smu.receive(b":OUTP?\n") == b"0\n"


def test_a_narrower_measuring_range_moves_the_limit(smu: Simulator) -> None:
    assert smu.receive(b":SOUR:VOLT:ILIM 1;:SENS:CURR:RANG 0.001;:SOUR:VOLT:ILIM?\n") == b"0.00105\n"


@pytest.mark.parametrize(
    ("state", "source"),
    [
        (b"HIMP", Open()),
        (b"NORM", VoltageSource(0.0, 1e-4)),
        (b"ZERO", VoltageSource(0.0, 1e-4)),
        (b"GUAR", CurrentSource(0.0, 2.0)),
    ],
)
def test_what_an_output_that_is_off_does_to_a_cell(smu: Simulator, bench: Bench, state: bytes, source: object) -> None:
    smu.receive(b":SENS:CURR:RANG 0.001;:SOUR:VOLT:RANG 20;:SOUR:VOLT 4;:OUTP ON;:OUTP:SMOD " + state + b"\n")
    assert bench.cell.source == VoltageSource(4.0, 1.05e-4)
    smu.receive(b":OUTP OFF\n")
    assert bench.cell.source == source


def test_a_new_off_state_counts_from_the_next_off(smu: Simulator, bench: Bench) -> None:
    smu.receive(b"*RST\n:OUTP:SMOD HIMP\n")
    assert isinstance(bench.cell.source, VoltageSource)
    smu.receive(b":OUTP OFF\n")
    assert isinstance(bench.cell.source, Open)


def test_readings_have_the_range_and_its_resolution(smu: Simulator, bench: Bench) -> None:
    smu.receive(b":SENS:CURR:RANG 0.001;:SOUR:VOLT:RANG 20;:SOUR:VOLT:ILIM 2e-4;:SOUR:VOLT 4.3;:OUTP ON\n")
    voltage, current, status = smu.receive(b':READ? "defbuffer1",SOUR,READ,SOURSTAT\n').split(b",")
    assert float(current) == pytest.approx(2e-4, rel=5e-4)
    assert float(voltage) == pytest.approx(bench.cell.voltage, abs=1e-3)
    assert int(status) == 8 | 32 | 128
    assert smu.receive(b":SOUR:VOLT:ILIM:TRIP?;:SOUR:CURR:VLIM:TRIP?\n") == b"1;0\n"
    assert round(float(voltage) / 1e-5, 3).is_integer()


def test_a_value_beyond_a_fixed_range_overflows(smu: Simulator, bench: Bench) -> None:
    smu.receive(b":SOUR:VOLT 4;:SOUR:VOLT:ILIM 1e-4;:OUTP ON\n")
    bench.advance_to(4 * 3600.0)
    smu.receive(b":SOUR:VOLT 0.1;:SOUR:VOLT:RANG 0.2\n")
    assert smu.receive(b':READ? "defbuffer1",SOUR\n') == b"9.900000E+37\n"


def test_the_same_instant_reads_the_same(smu: Simulator) -> None:
    smu.receive(b":SOUR:VOLT 4;:SOUR:VOLT:ILIM 1e-4;:OUTP ON\n")
    assert smu.receive(b":READ?\n") == smu.receive(b":READ?\n")


@given(st.data())
def test_bytes_come_in_any_pieces(data: st.DataObject) -> None:
    script = b"*IDN?\n:SOUR:VOLT 1.25;:SOUR:VOLT?\n:NOPE\n:SYST:ERR?;:OUTP?\n*OPC?"
    whole = Simulator(Bench.of(BenchParameters(), seed=1), "cell", Keithley2450.Options())
    parts = Simulator(Bench.of(BenchParameters(), seed=1), "cell", Keithley2450.Options())
    cuts = sorted(data.draw(st.sets(st.integers(1, len(script) - 1), max_size=6)))
    answers = [parts.receive(script[a:b]) for a, b in pairwise([0, *cuts, len(script)])]
    assert b"".join(answers) == whole.receive(script)
    parts.reset_line()
    assert parts.receive(b"\n") == b""


@given(st.binary(max_size=80))
def test_any_bytes_are_survived_and_switch_nothing_on(noise: bytes) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    smu = Simulator(bench, "cell", Keithley2450.Options())
    smu.receive(noise + b"\n")
    assert smu.receive(b"*CLS;*OPC?\n") == b"1\n"
    assert smu.receive(b":OUTP?\n") == b"0\n"


async def test_pymeasure_drives_the_simulator(bench: Bench, smu: Simulator, served) -> None:  # type: ignore[no-untyped-def]
    async with served(bench, smu, "tcp://127.0.0.1:0") as address:
        await asyncio.to_thread(_use_pymeasure, address)
    assert not bench.cell.current


def _use_pymeasure(address: str) -> None:
    instrument = PyMeasure2450(address, visa_library="@py", read_termination="\n", write_termination="\n", timeout=2000)
    try:
        assert instrument.id == "KEITHLEY INSTRUMENTS,MODEL 2450,04399999,1.7.12b"
        instrument.voltage_output_off_state = "HIMP"
        instrument.current_output_off_state = "HIMP"
        assert instrument.voltage_output_off_state == "HIMP"

        instrument.apply_current(current_range=1e-3, compliance_voltage=4.5)
        instrument.source_current = 1e-4
        instrument.measure_voltage(nplc=1, voltage=20.0, auto_range=False)
        instrument.enable_source()
        assert instrument.source_enabled
        assert instrument.source_mode == "current"
        assert instrument.source_current_range == 1e-3
        assert instrument.compliance_voltage == 4.5
        charging = instrument.voltage
        assert 1.0 < charging < 4.5
        instrument.ramp_to_current(-1e-4, steps=3, pause=0)
        assert instrument.voltage < charging
        instrument.disable_source()
        assert not instrument.source_enabled

        instrument.apply_voltage(voltage_range=20, compliance_current=1e-4)
        instrument.source_voltage = 4.3
        instrument.measure_current(nplc=0.1, current=1e-3, auto_range=False)
        instrument.enable_source()
        assert instrument.current == pytest.approx(1e-4, rel=1e-3)
        assert instrument.current_range == 1e-3
        assert instrument.current_nplc == 0.1
        assert instrument.minimums < instrument.means < instrument.maximums
        instrument.disable_source()
        assert instrument.check_errors() == []

        instrument.reset()
        assert instrument.source_voltage == 0.0
        instrument.voltage_output_off_state = "HIMP"
        instrument.disable_source()
    finally:
        instrument.adapter.close()
        instrument.adapter.manager.close()
