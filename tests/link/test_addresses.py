"""An address that cannot be used, in the sentence that a user reads; and framing that a wire cannot have."""

import socket
from dataclasses import replace

import pytest

from labctl.clock import RealClock
from labctl.errors import Unreachable
from labctl.instrument import SerialWire, VisaWire
from labctl.link import open_link
from tests.link.echo import LINES, PTY, TCP, WIRES, Echo, wired

SEVEN_EVEN = SerialWire(LINES, baudrate=4800, bytesize=7, parity="E", rtscts=True, timeout=0.05)


async def sentence_of(address: str, wire: VisaWire | SerialWire) -> str:
    async def use() -> None:
        link = open_link(address, wire, "A1/cycler", RealClock(), simulated=False)
        try:
            await link.query(b"who\n")
        finally:
            await link.close()

    with pytest.raises(Unreachable) as caught:
        await use()
    assert caught.value.exit_code == 4
    return str(caught.value)


@pytest.mark.parametrize("address", ["/dev/ttyUSB0", "COM3", "sim://", ""])
async def test_no_visa_resource(address: str) -> None:
    assert await sentence_of(address, WIRES[TCP]) == (
        f'A1/cycler: the address "{address}" does not fit this driver\n'
        '  Write a VISA resource such as "TCPIP::192.0.2.7::5025::SOCKET" in config.toml.'
    )


async def test_no_serial_device() -> None:
    assert await sentence_of("TCPIP::192.0.2.7::5025::SOCKET", WIRES[PTY]) == (
        'A1/cycler: the address "TCPIP::192.0.2.7::5025::SOCKET" does not fit this driver\n'
        '  Write a serial device such as "/dev/ttyUSB0" in config.toml.'
    )


async def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"TCPIP::127.0.0.1::{probe.getsockname()[1]}::SOCKET"
        assert await sentence_of(address, WIRES[TCP]) == (
            f"A1/cycler at {address}: cannot be opened: [Errno 111] Connection refused\n"
            "  Check that it is on, on the network, and free of other clients."
        )


@pytest.mark.parametrize("address", ["TCPIP::", "NONSENSE::1::INSTR", "GPIB0::3::INSTR"])
async def test_a_resource_that_cannot_be(address: str) -> None:
    sentence = await sentence_of(address, WIRES[TCP])
    assert sentence.startswith(f"A1/cycler at {address}: cannot be opened: ")


async def test_an_absent_tty() -> None:
    assert await sentence_of("/dev/ttyNONE", WIRES[PTY]) == (
        "A1/cycler at /dev/ttyNONE: cannot be opened: [Errno 2] could not open port /dev/ttyNONE: "
        "[Errno 2] No such file or directory: '/dev/ttyNONE'\n"
        "  Check the cable, that you may open it (group dialout), and that nothing else uses it."
    )


async def test_a_port_that_somebody_holds() -> None:
    async with wired(Echo(), PTY) as link:
        await link.query(b"mine\n")
        address = link.name.rpartition(" at ")[2]
        sentence = await sentence_of(address, WIRES[PTY])
        assert sentence.startswith(
            f"A1/cycler at {address}: cannot be opened: [Errno 11] Could not exclusively lock port"
        )
        assert "that nothing else uses it" in sentence
        assert await link.query(b"still mine\n") == b"still mine"


async def test_an_unreachable_address_is_tried_again() -> None:
    """The instrument is switched on after the first attempt."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        link = open_link(f"TCPIP::127.0.0.1::{port}::SOCKET", WIRES[TCP], "A1/cycler", RealClock(), simulated=False)
        for _ in range(2):
            with pytest.raises(Unreachable, match="Connection refused"):
                await link.query(b"who\n")
    async with wired(Echo(), f"tcp://127.0.0.1:{port}"):
        assert await link.query(b"who\n") == b"who"
    await link.close()


async def test_a_framing_that_a_pseudo_terminal_refuses_is_opened_8n1() -> None:
    async with wired(Echo(), PTY) as link:
        address = link.name.rpartition(" at ")[2]
        for _ in range(2):  # reopening is where 7E1 fails
            seven = open_link(address, SEVEN_EVEN, "A1/thermostat", RealClock(), simulated=True)
            assert await seven.query(b"\xb5 with eight bits\n") == b"\xb5 with eight bits"
            await seven.close()


async def test_a_real_line_gets_the_framing_of_its_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def refuse(device: str, **settings: object) -> None:
        asked.update(settings, device=device)
        raise OSError("no such line here")

    monkeypatch.setattr("labctl.link.serial_line.serial.Serial", refuse)
    await sentence_of("/dev/ttyUSB0", replace(SEVEN_EVEN, timeout=0.5))
    assert asked == {
        "device": "/dev/ttyUSB0",
        "baudrate": 4800,
        "bytesize": 7,
        "parity": "E",
        "stopbits": 1,
        "rtscts": True,
        "xonxoff": False,
        "timeout": 0.5,
        "write_timeout": 0.5,
        "exclusive": True,
    }
