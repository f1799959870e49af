"""Cells by name: five papers' cells, each constant with its source.

"calibrated" means chosen so that the simulated cell shows the paper's figure: it proves software, not chemistry.
Lengths, loadings and resistances are written in the papers' units and converted once.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf, pi
from typing import Self

from pydantic import field_validator, model_validator

from labctl.fields import Conductivity, Length, Loading, Parameters
from labctl.sim import ocv
from labctl.sim.parameters import CellParameters
from labctl.sim.stacks import STACKS

_DIE_10_MM = pi * 0.005**2
_MG_PER_CM2 = 0.01
_MAH_PER_G = 3600.0
_OHM_CM2 = 1e-4
_MA_PER_CM2 = 10.0
_MAH_PER_CM2 = 3.6e4
_LITHIUM = 4.85e-6 / _MAH_PER_CM2
"""m thicker for each C/m² plated: 0.534 g/cm³ (battery handbook value), 4.85 µm for each mAh/cm²."""


def _nmc83_li() -> CellParameters:
    """SC-NMC83 | Li6PS5Cl | Li at 2.5 MPa and 30 °C (Doerrer 2021, 10.1021/acsami.1c07952)."""
    charging, discharging = ocv.cell_curves(ocv.nickel_rich_layered(), counter=0.0, hole=0.050, width=0.004)
    return CellParameters(
        area=_DIE_10_MM,  # assumed: the diameter is in the supporting information
        loading=14 * _MG_PER_CM2,  # paper
        specific_capacity=275.5 * _MAH_PER_G,  # all lithium of LiNi0.83Mn0.06Co0.11O2, from its formula
        charging=charging,
        discharging=discharging,
        side_capacity=22.0 * _MAH_PER_G,  # calibrated to the first-cycle efficiency of 85 %
        side_share=0.5,  # assumed; gives the slope below 3.6 V
        separator_resistance=50 * _OHM_CM2,  # 1.5 mm at 3 mS/cm (paper, large particles)
        interface_resistance=14 * _OHM_CM2,  # paper: 40 at 2.5 MPa with the charge transfer, which is 26 at i0
        interface_time=1e-3,  # assumed: an arc around 160 Hz
        reference_pressure=2.5e6,
        pressure_exponent=-0.5,  # arXiv 2501.00600, contacts of Li6PS5Cl
        slow_resistance=20 * _OHM_CM2,  # assumed
        slow_time=60.0,  # assumed
        exchange_current=1.0 * _MA_PER_CM2,  # assumed
        activation_energy=35e3,  # 0.36 eV, assumed within 0.3 to 0.4 eV
        reference_temperature=30.0,  # paper
        fade=0.0006,  # paper: 99.4 % after 10 cycles at 2.5 MPa
        fade_exponent=2.0,  # assumed; "about 0" at 10 MPa, no more at 0.2 MPa than at 2.5 MPa (paper)
        full_swing=0.74,  # 204 of 275.5 mAh/g
        negative_growth=_LITHIUM,
        positive_growth=-0.055 / 0.74 / 4780.0,  # paper: lattice -5.5 % in a charge; 4.78 g/cm³
        penetration_charge=30 * _MAH_PER_CM2,  # paper: fails after about 10 cycles of 3 mAh/cm²
        creep_pressure=10e6,  # paper: 10 MPa fails no earlier than 2.5 MPa
        penetration_exponent=2.0,  # calibrated: 50 MPa shorts in the first charge (paper)
        short_resistance=2e3,  # assumed
    )


def _nmc83_lto() -> CellParameters:
    """SC-NMC83 | Li6PS5Cl | LTO (Doerrer 2021): the same cathode, no lithium to plate."""
    charging, discharging = ocv.cell_curves(ocv.nickel_rich_layered(), counter=1.55, hole=0.050, width=0.004)
    return replace(
        _nmc83_li(),
        charging=charging,
        discharging=discharging,
        negative_growth=0.0,  # LTO keeps its volume within 0.2 % (paper)
        penetration_charge=inf,
        short_resistance=inf,
    )


def _nmc811_li() -> CellParameters:
    """NMC811 | Li6PS5Cl | Li, which dies after six cycles (Wang 2024, 10.1021/jacs.4c02198): the rest is NMC83's."""
    return replace(
        _nmc83_li(),
        side_capacity=60.0 * _MAH_PER_G,  # assumed: "notably low" first efficiency, no number in the paper
        fade=0.036,  # calibrated to 83 % of the first discharge in the sixth
        fade_exponent=0.0,  # assumed: the pressure is not stated
        penetration_charge=inf,  # assumed: it is the cathode that fails
        short_resistance=inf,
        death_cycle=5.5,  # paper: "ceases to function" after six cycles; by then it has aged by less than six full ones
        death_resistance=1e6 * _OHM_CM2,  # assumed: enough to meet both cut-offs at once
    )


def _lnmo_liin() -> CellParameters:
    """Al2O3-coated hollow LNMO (70 % of the cathode) | Li6PS5Cl | Li-In (Lee 2022, 10.1021/acs.nanolett.2c02426)."""
    charging, discharging = ocv.cell_curves(ocv.spinel(), counter=0.62, hole=0.01, width=0.004)
    return CellParameters(
        area=_DIE_10_MM,  # assumed: the diameter is in the supporting information
        loading=14 * _MG_PER_CM2,  # paper, pellet
        specific_capacity=146.7 * _MAH_PER_G,  # all lithium of LiNi0.5Mn1.5O4, from its formula; 146 in the paper
        charging=charging,
        discharging=discharging,
        accessible=0.717,  # calibrated to 105.5 mAh/g
        side_capacity=24.0 * _MAH_PER_G,  # calibrated to the 81.4 % of two cycles of ALD; five are "similar"
        side_share=0.5,  # assumed
        separator_resistance=30 * _OHM_CM2,  # assumed
        interface_resistance=544 * _OHM_CM2,  # paper: 570 of both electrodes, less the charge transfer
        interface_time=1e-3,  # assumed: an arc around 160 Hz
        reference_pressure=10e6,  # assumed: the stack pressure is in the supporting information
        pressure_exponent=-0.5,  # arXiv 2501.00600, contacts of Li6PS5Cl
        slow_resistance=30 * _OHM_CM2,  # assumed
        slow_time=60.0,  # assumed
        exchange_current=1.0 * _MA_PER_CM2,  # assumed
        activation_energy=35e3,  # assumed
        reference_temperature=25.0,  # assumed: the temperature is in the supporting information
        fade=0.00468,  # calibrated to 62.1 % after 100 cycles (pellet)
        full_swing=0.98,  # assumed: almost all that takes part
        positive_growth=-0.062 / 0.98 / 4400.0,  # paper: 6.2 %; 4.4 g/cm³ assumed
    )


def _lnmo_bare_liin() -> CellParameters:
    """The same without a coating: its electrodes' resistance alone; what its capacity is else was not calibrated."""
    return replace(_lnmo_liin(), interface_resistance=934 * _OHM_CM2)  # paper: 960 with the charge transfer of 26


def _lno_lto() -> CellParameters:
    """LiNiO2 | Li6PS5Cl | LTO at 45 °C (Ma 2024)."""
    charging, discharging = ocv.cell_curves(ocv.nickelate(), counter=1.55, hole=0.05, width=0.004)
    return CellParameters(
        area=_DIE_10_MM,  # paper
        loading=11 * _MG_PER_CM2,  # paper
        specific_capacity=274.5 * _MAH_PER_G,  # all lithium of LiNiO2, from its formula
        charging=charging,
        discharging=discharging,
        side_capacity=12.8 * _MAH_PER_G,  # calibrated to the first-cycle efficiency of 88 %
        side_share=0.5,  # assumed
        separator_resistance=30 * _OHM_CM2,  # assumed: 100 mg of Li6PS5Cl at 45 °C
        interface_resistance=30 * _OHM_CM2,  # assumed
        interface_time=1e-3,  # assumed: an arc around 160 Hz
        reference_pressure=2.5e6,  # assumed: the stack pressure is not stated
        slow_resistance=30 * _OHM_CM2,  # assumed
        slow_time=60.0,  # assumed
        exchange_current=1.0 * _MA_PER_CM2,  # assumed
        activation_energy=35e3,  # assumed
        reference_temperature=45.0,  # paper
        fade=0.0025,  # paper: 78 % after 100 cycles (pellet)
        full_swing=0.714,  # 196 of 274.5 mAh/g
        positive_growth=-0.083 / 0.714 / 4780.0,  # paper: -8.3 % (coated); density assumed as for NMC
    )


def _nmc721_liin() -> CellParameters:
    """NMC721 | LSPSCl | Li-In at 760 MPa and room temperature (Wang 2023, Nano Energy 105, 108016)."""
    charging, discharging = ocv.cell_curves(ocv.nickel_rich_layered(), counter=0.62, hole=0.056, width=0.004)
    return CellParameters(
        area=_DIE_10_MM,  # paper
        loading=25.2 * _MG_PER_CM2,  # 70 % of 36 mg/cm²: the reading under which the paper's currents close
        specific_capacity=275.5 * _MAH_PER_G,  # as for the other layered oxides
        charging=charging,
        discharging=discharging,
        accessible=0.72,  # calibrated
        side_capacity=25.0 * _MAH_PER_G,  # calibrated to the first-cycle efficiency of 76 %
        side_share=0.5,  # assumed
        separator_resistance=13 * _OHM_CM2,  # paper: 400 µm at 3.0e-3 S/cm
        interface_resistance=40 * _OHM_CM2,  # calibrated to 116 mAh/g at 1C
        interface_time=1e-3,  # assumed: an arc around 160 Hz
        reference_pressure=760e6,  # paper
        slow_resistance=20 * _OHM_CM2,  # assumed
        slow_time=60.0,  # assumed
        exchange_current=1.0 * _MA_PER_CM2,  # assumed
        activation_energy=35e3,  # assumed
        reference_temperature=25.0,  # paper: room temperature
        fade=0.000193,  # calibrated with fade_floor to 82 % after 2000 and 77 % after 4000 cycles
        fade_floor=0.702,
        full_swing=0.60,
        negative_growth=0.0,  # assumed: the indium takes the lithium up; under a press it moves nothing
        positive_growth=-0.055 / 0.74 / 4780.0,  # assumed as for NMC83
    )


PRESETS: dict[str, Callable[[], CellParameters]] = {
    "nmc83-li": _nmc83_li,
    "nmc83-lto": _nmc83_lto,
    "nmc811-li": _nmc811_li,
    "lnmo-liin": _lnmo_liin,
    "lnmo-bare-liin": _lnmo_bare_liin,
    "lno-lto": _lno_lto,
    "nmc721-liin": _nmc721_liin,
}


_OF_A_STACK = ("thickness", "conductivity", "leakage")


class CellChoice(Parameters):
    """A preset, and what this cell has otherwise.

    Of a cell: diameter (m) and active loading (kg/m²) of the positive electrode. Of a stack between electrodes that
    block: diameter and thickness (m), conductivity (S/m) of what is blocked, leakage (S/m) of what passes.
    """

    preset: str = "nmc83-li"
    diameter: Length | None = None
    loading: Loading | None = None
    thickness: Length | None = None
    conductivity: Conductivity | None = None
    leakage: Conductivity | None = None

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in PRESETS and name not in STACKS:
            there = ", ".join([*sorted(PRESETS), *sorted(STACKS)])
            raise ValueError(f'there is no simulated cell "{name}"; there are {there}')
        return name

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        foreign = ("loading",) if self.preset in STACKS else _OF_A_STACK
        wrong = next((key for key in foreign if getattr(self, key) is not None), None)
        if wrong is not None:
            kind = "a stack between blocking electrodes" if self.preset in STACKS else "a cell with two electrodes"
            raise ValueError(f'"{self.preset}" is {kind}, which has no {wrong} to choose')
        return self

    def parameters(self) -> CellParameters:
        """Return the cell's parameters."""
        if self.preset in STACKS:
            own = {key: value for key in _OF_A_STACK if (value := getattr(self, key)) is not None}
            preset = replace(STACKS[self.preset], **own).parameters()
        else:
            preset = PRESETS[self.preset]()
        return replace(
            preset,
            area=preset.area if self.diameter is None else pi * self.diameter**2 / 4,
            loading=preset.loading if self.loading is None else self.loading,
        )
