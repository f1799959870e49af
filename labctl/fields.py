"""Fields of config.toml that are written with their unit ("500 N") and are floats in SI in code."""

from math import isfinite
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from labctl.quantity import Dimension, Quantity, Written


def _in_si(dimension: Dimension) -> BeforeValidator:
    written = Written((dimension,))

    def read(value: object) -> float:
        return value if isinstance(value, float) and isfinite(value) else float(written.read(value))

    return BeforeValidator(read, json_schema_input_type=Annotated[Quantity, written])


class Parameters(BaseModel):
    """Base of a part's parameters: unknown keys are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Length = Annotated[float, _in_si(Dimension.LENGTH), Field(gt=0)]
Loading = Annotated[float, _in_si(Dimension.LOADING), Field(gt=0)]
Duration = Annotated[float, _in_si(Dimension.TIME), Field(gt=0)]
Force = Annotated[float, _in_si(Dimension.FORCE), Field(ge=0)]
Torque = Annotated[float, _in_si(Dimension.TORQUE), Field(ge=0)]
Stress = Annotated[float, _in_si(Dimension.PRESSURE), Field(ge=0)]
Conductivity = Annotated[float, _in_si(Dimension.CONDUCTIVITY), Field(gt=0)]
Stiffness = Annotated[float, _in_si(Dimension.STIFFNESS), Field(gt=0)]
Power = Annotated[float, _in_si(Dimension.POWER), Field(ge=0)]
Temperature = Annotated[float, _in_si(Dimension.TEMPERATURE)]
Angle = Annotated[float, _in_si(Dimension.ANGLE), Field(gt=0)]
Capacity = Annotated[float, _in_si(Dimension.FORCE), Field(gt=0)]
"""The largest force of a load cell."""
TorqueLimit = Annotated[float, _in_si(Dimension.TORQUE), Field(gt=0)]
TorqueConstant = Annotated[float, _in_si(Dimension.TORQUE_CONSTANT), Field(gt=0)]
"""Of a motor: torque at its shaft for a current, N m/A."""
