"""What can be asked of a tool in a hand, and of a gas: within its range, in time, and seen by a load cell."""

from labctl import plan
from labctl.plan import ByHand, Compare, End, Operator, Side, StationAbilities
from labctl.protocol.findings import Refused, humane
from labctl.protocol.verbs import Lasting, TorqueStep
from labctl.quantity import Quantity

TYPED = End(Compare(plan.Quantity.TIME, Operator.GE, 0.0), "done by hand")
"""Of a torque by hand for which nothing else is waited."""


def refuse_endless(step: Lasting, verb: str) -> None:
    """Refuse a step that waits for a person for ever, or a pressure that nothing confirms."""
    if step.timeout is None:
        reason = f"a person is asked for this {verb}, and nothing says how long to wait for them"
        raise Refused("unbounded", reason, 'Write timeout = "1 h".')
    if verb == "pressure" and not step.until:
        reason = "a person is asked for this pressure, and nothing says when the load cell has confirmed it"
        raise Refused("unbounded", reason, 'Write until = "stable within 5 % for 60 s".')


def refuse_torque(tool: ByHand, value: Quantity, step: TorqueStep, station: StationAbilities) -> None:
    """Refuse a torque that a person is asked for and that no tool shows, or that nobody would see."""
    torque, side = float(value), tool.side
    if tool.shows != "torque":
        reason = f"the {side} side is pressed by a press, which shows no torque"
        raise Refused("station", reason, f'Write pressure = {{ {side} = "50 MPa" }}.')
    if side not in dict(station.measured):
        raise Refused("station", *_unseen(side, station))
    if torque < 0.0:
        reason = "no wrench shows what it takes to loosen a screw"
        raise Refused("torque", reason, f'Write pressure = {{ {side} = "0 MPa" }}: a person is asked to loosen it.')
    if not tool.lowest <= torque <= tool.highest:
        low, high = humane(tool.lowest, "N m"), humane(tool.highest, "N m")
        reason = f'"{value}" is beyond the scale of the torque wrench, {low} to {high}'
        raise Refused("station", reason, "Ask for another torque, or use another wrench.")
    refuse_endless(step, "torque")


def refuse_beyond_tool(side: Side, force: float, what: str, station: StationAbilities) -> None:
    """Refuse a force (N) that the tool, or the gas, of a side does not reach; 0 is let go."""
    tool, most = station.tool(side), dict(station.gas).get(side)
    if most is not None and force > most:
        reason = f"{what} is {humane(force, 'N')} on this bore, and the gas presses with {humane(most, 'N')} at most"
        raise Refused("station", reason, "Ask for less, or fit a larger piston.")
    if tool is None:
        return
    if side not in dict(station.measured):
        raise Refused("station", *_unseen(side, station))
    scale, unit = tool.scale(force), "N" if tool.shows == "force" else "N m"
    if force and not tool.lowest <= scale <= tool.highest:
        low, high = humane(tool.lowest, unit), humane(tool.highest, unit)
        by = "" if tool.screw is None else " by the textbook"
        reason = f"{what} takes {humane(scale, unit)}{by}, and the tool of the {side} side shows {low} to {high}"
        raise Refused("station", reason, "Ask for another pressure, or use another tool.")


def refuse_gas_gap(side: Side, control: str, station: StationAbilities) -> None:
    """Refuse to keep a gap with a gas, which keeps a force."""
    if side in dict(station.gas) and control != "force":
        reason = f"a gas presses the {side} side: it keeps a force, and no gap"
        raise Refused("station", reason, 'Write control = "force".')


def _unseen(side: Side, station: StationAbilities) -> tuple[str, str]:
    reason = f"station {station.name} has no load cell on the {side} side, so nobody sees what a person did there"
    return reason, "Fit one: what a tool showed is no measurement of what the stack bears."
