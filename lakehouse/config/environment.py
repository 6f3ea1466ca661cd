"""Where a setting's value comes from: the LAKEHOUSE_ variable of its name, else what `lakehouse up` has generated.

Every field of the settings is read from `LAKEHOUSE_<FIELD>`. The schedules of the domains are one field, `schedules`,
read from a `LAKEHOUSE_<DOMAIN>_SCHEDULE` for each folder of spark_jobs/ that has a pipeline.py: a new domain has its
variable without a line here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from lakehouse.config.generated import generated_settings
from lakehouse.config.project import absolute_home, pipelines
from lakehouse.errors import BadInputError

PREFIX = "LAKEHOUSE_"
SCHEDULES = "schedules"
"""The field that the variables of the domains' schedules fill."""
TEST_VARIABLES: Mapping[str, str] = {"LAKEHOUSE_REAL_DATA": "The folder of real input files; only tests read it."}
"""Variables with the prefix that are not settings: they may stand in any environment, so they are not refused."""
RENAMED: Mapping[str, str] = {"LAKEHOUSE_FORECAST_SCHEDULE": "LAKEHOUSE_ENERGY_SCHEDULE"}
"""Variables of earlier versions: the nearest name by spelling would be another setting."""


def variable_of(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()


def schedule_variables() -> dict[str, str]:
    """Return the domain of each `LAKEHOUSE_<DOMAIN>_SCHEDULE`, by the variable."""
    return {variable_of(f"{domain}_schedule"): domain for domain in pipelines()}


def refuse_unknown_variables(settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
    """Demand that each LAKEHOUSE_ variable is a setting: a misspelled one would change nothing, without a word.

    Raises:
        BadInputError: some are not; names each, with the nearest setting.
    """
    known = {variable_of(name) for name in settings_cls.model_fields if name != SCHEDULES} | {*schedule_variables()}
    complaints = []
    for variable in sorted(environment):
        if not variable.upper().startswith(PREFIX) or variable in known or variable in TEST_VARIABLES:
            continue
        near = [RENAMED[variable]] if variable in RENAMED else difflib.get_close_matches(variable, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
        complaints.append(f"{variable} is not a setting; {hint}")
    if complaints:
        raise BadInputError("; ".join(complaints))


class Environment(EnvSettingsSource):
    """The LAKEHOUSE_ variables of an environment, which need not be this process's."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self.env_vars = {name.lower(): value for name, value in environment.items() if name.startswith(PREFIX)}

    def __call__(self) -> dict[str, Any]:
        """Return the values that were given, by field."""
        found = super().__call__()
        given = {domain: self.env_vars.get(name.lower()) for name, domain in schedule_variables().items()}
        schedules = {domain: value for domain, value in given.items() if value is not None}
        return found | ({SCHEDULES: schedules} if schedules else {})


class Generated(PydanticBaseSettingsSource):
    """In profile stack, what `lakehouse up` has written down below the home, for settings that nobody gave."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return one field's value, its name and that it needs no decoding."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the generated values; a source that ranks higher has read the environment."""
        given = self.current_state
        return (
            dict(generated_settings(absolute_home(given.get("home")), given)) if given.get("profile") == "stack" else {}
        )
