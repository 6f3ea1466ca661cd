"""The list of settings: docs/settings.md, written from the fields of the settings by `make docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from lakehouse.config.environment import SCHEDULES, TEST_VARIABLES, schedule_variables, variable_of
from lakehouse.config.lake_settings import LakeSettings
from lakehouse.config.project import ROOT
from lakehouse.config.service_settings import ServiceSettings
from lakehouse.config.settings import Settings

PAGE = ROOT / "docs" / "settings.md"

SECTIONS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("Tables", LakeSettings),
    ("Jobs", Settings),
    ("Services", ServiceSettings),
)
"""A heading for the fields that each class declares itself."""

INTRODUCTION = """\
# Settings

Written from the fields in `lakehouse/config/` by `make docs`; edit those, not this page.

A setting is an environment variable; none has to be set. A `LAKEHOUSE_…` variable that is not listed here is refused
with the nearest name, and so is a value that the setting does not take. Every domain, that is a folder of `spark_jobs/`
with a `pipeline.py`, has a `LAKEHOUSE_<DOMAIN>_SCHEDULE`. In profile stack, `lakehouse up` generates passwords, keys
and addresses below `LAKEHOUSE_HOME`; a value that you set comes before a generated one.
"""

NAMES = {str: "text", int: "whole number", bool: "true or false", Path: "folder", SecretStr: "secret"}
LIMITS = {"ge": "from", "le": "to"}


def render() -> str:
    """Return the page."""
    lines = [INTRODUCTION]
    for title, section in SECTIONS:
        lines += [f"## {title}\n", "| Setting | Type | Default | Meaning |", "|---|---|---|---|"]
        for name in section.__annotations__:
            lines += [_row(variable, section.model_fields[name]) for variable in _variables(name)]
        lines.append("")
    lines += ["## Not settings\n", *(f"- `{name}`: {text}" for name, text in TEST_VARIABLES.items()), ""]
    return "\n".join(lines)


def _variables(field: str) -> list[str]:
    return list(schedule_variables()) if field == SCHEDULES else [variable_of(field)]


def _row(variable: str, field: FieldInfo) -> str:
    annotation = get_args(field.annotation)[1] if get_origin(field.annotation) is dict else field.annotation
    cells = (f"`{variable}`", _type(annotation, field), _default(field), field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(annotation: Any, field: FieldInfo) -> str:
    """Return what a value may be, in words."""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    words = [NAMES[annotation]]
    for limit in field.metadata:
        words += [f"{name} {getattr(limit, key)}" for key, name in LIMITS.items() if hasattr(limit, key)]
    return " ".join(words)


def _default(field: FieldInfo) -> str:
    """Return the default; a folder of this clone relative to it, so that the page is the same on every machine."""
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if field.default_factory is not None:
        return "not set"
    if value == "":
        return "empty"
    if isinstance(value, Path):
        return f"`{value.relative_to(ROOT)}` in the project's folder"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
