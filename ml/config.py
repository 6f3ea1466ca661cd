"""Model configuration: one YAML per model, beside its code, checked against a schema; errors name file and line.

What every model has is here. What belongs to one kind of model (features, split, hyperparameters) is a subclass of
ModelConfig in the domain's config.py; it is found by its `code`, which names the module of the model. No heavy import:
Dags read configurations, too.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from lakehouse.errors import BadInputError
from lakehouse.reference.declaration import Declared, check
from lakehouse.reference.yaml_document import Document, Place, parse_value, read_yaml
from lakehouse.services.pools import POOLS, QUEUES
from lakehouse.tables import TABLES, find_table

FOLDER = Path(__file__).parent

NAME = r"^[a-z][a-z0-9_]{1,62}$"
"""What models, tags, pools and files are called: safe in a path, in SQL and as a name of a tag."""
Name = Annotated[str, Field(pattern=NAME)]
CRON_FIELD = re.compile(r"[0-9*,/\-]+")
FIXED = ("name", "domain", "code")
"""What --set may not change: it would be another model."""
JUDGING = ("gate", "is_approval_needed")
"""What --set may not change either: a run would choose what it is judged by."""


class Section(Declared):
    """A part of a model's configuration."""


class TrainingWindow(Section):
    """Days of gold that training reads, `[first, last_exclusive)`; None is open."""

    first: date | None = None
    last_exclusive: date | None = None

    @model_validator(mode="after")
    def _holds_a_day(self) -> Self:
        if self.first and self.last_exclusive and self.first >= self.last_exclusive:
            raise ValueError(f"[{self.first}, {self.last_exclusive}) holds no day")
        return self


class DataChecks(Section):
    """What prepare demands of gold before anything is trained."""

    minimum_rows: int = Field(ge=1)
    maximum_age_days: int | None = Field(default=None, ge=1)
    """Days from the newest row to now; None for data that has ended."""


class Threshold(Section):
    """Limits of one metric, both inclusive."""

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.minimum is None and self.maximum is None:
            raise ValueError("expected minimum, maximum or both")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class Gate(Section):
    """What a model must reach to be registered; that it beats the strongest baseline is demanded in any case."""

    thresholds: dict[str, Threshold] = Field(min_length=1)
    significance: float = Field(gt=0, lt=0.5)
    """Of the paired test against the champion: the chance of promoting an equal model."""


class Resources(Section):
    """What a training process is given; `threads` is also what makes its result repeatable."""

    device: Literal["cpu", "gpu"]
    threads: int = Field(ge=1, le=256)
    memory: str = Field(pattern=r"^[1-9][0-9]*[mg]$")


class TrainingSchedule(Section):
    """How an orchestrator runs the model."""

    retrain: str | None
    """Five fields of cron, UTC; None is by hand."""
    pool: Name
    queue: Name
    priority: int = Field(ge=1, le=1000)
    retries: int = Field(ge=0, le=10)

    @field_validator("pool")
    @classmethod
    def _is_pool(cls, name: str) -> str:
        if name not in POOLS:
            raise ValueError(f"no pool {name!r}; there are {', '.join(POOLS)}")
        return name

    @field_validator("queue")
    @classmethod
    def _is_queue(cls, name: str) -> str:
        if name not in QUEUES:
            raise ValueError(f"no queue {name!r}; there are {', '.join(QUEUES)}")
        return name

    @field_validator("retrain")
    @classmethod
    def _is_cron(cls, text: str | None) -> str | None:
        if text is not None and (len(text.split()) != 5 or not all(map(CRON_FIELD.fullmatch, text.split()))):
            raise ValueError("expected five fields of cron like '0 3 1 * *', or null")
        return text


class ModelConfig(Section):
    """What every model's configuration has."""

    name: Name
    domain: Name
    code: Name
    """Module ml.<domain>.<code> that trains it."""
    description: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    table: str
    model_type: Name
    hyperparameters: Section
    """A section per model type; those of the chosen one count."""
    seed: int = Field(ge=0, lt=2**31)
    training_window: TrainingWindow
    data: DataChecks
    gate: Gate
    experiment: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{2,62}$")
    is_approval_needed: bool
    resources: Resources
    schedule: TrainingSchedule
    image: str = Field(pattern=r"^[a-z0-9][a-z0-9./:_@-]*$")

    @field_validator("table")
    @classmethod
    def _is_gold(cls, identifier: str) -> str:
        try:
            is_gold = find_table(identifier).layer == "gold"
        except BadInputError:
            is_gold = False
        if not is_gold:
            gold = ", ".join(table.identifier for table in TABLES if table.layer == "gold")
            raise ValueError(f"no gold table {identifier!r} is declared; there are {gold}, and gold.<image set>_images")
        return identifier

    def as_json(self) -> str:
        """Return everything that the model depends on; equal configurations give equal texts."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1)

    @property
    def sha256(self) -> str:
        """Hash of the configuration, hex."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    def chosen_hyperparameters(self) -> dict[str, Any]:
        """Return those of the chosen model_type."""
        chosen: Section = getattr(self.hyperparameters, self.model_type)
        return chosen.model_dump(mode="json")


def config_files() -> dict[str, Path]:
    """Return the configuration files by the name of their model."""
    return {path.stem: path for path in sorted(FOLDER.glob("*/*.yaml"))}


def find_config(name: str, overrides: Sequence[str] = ()) -> ModelConfig:
    """Read the configuration of a model by its name, changed by `key=value` overrides.

    Raises:
        BadInputError: there is no such model, or its configuration is wrong: which file and line, and what is expected.
    """
    files = config_files()
    if name not in files:
        raise BadInputError(f"no model {name!r}; there are {', '.join(files) or 'none'}")
    return read_config(files[name], overrides)


def read_config(path: Path, overrides: Sequence[str] = ()) -> ModelConfig:
    """Read one configuration file.

    Raises:
        BadInputError: the file or an override is wrong.
    """
    document = read_yaml(path)
    schema = find_schema(document)
    for override in overrides:
        apply_override(document, override, schema)
    config = check(document, schema)
    if config.name != path.stem:
        raise BadInputError(f"{document.where(('name',))}: the file is named after its model: expected {path.stem}")
    return config


def parse_config(text: str, source: str) -> ModelConfig:
    """Read a configuration back from what `as_json` wrote.

    Raises:
        BadInputError: it no longer fits the schema.
    """
    values = json.loads(text)
    document = Document(source, values, {(): 1})
    return check(document, find_schema(document))


def find_schema(document: Document) -> type[ModelConfig]:
    """Return the schema of the code that the configuration names.

    Raises:
        BadInputError: there is no such domain or code.
    """
    domain, code = document.values.get("domain"), document.values.get("code")
    domains = sorted(path.parent.name for path in FOLDER.glob("*/config.py"))
    if domain not in domains:
        document.refuse([document.fault(("domain",), f"expected one of {', '.join(domains)}, found {domain!r}")])
    schemas = schemas_of(str(domain))
    if not isinstance(code, str) or code not in schemas:
        document.refuse([document.fault(("code",), f"expected one of {', '.join(schemas)}, found {code!r}")])
    return schemas[str(code)]


def schemas_of(domain: str) -> dict[str, type[ModelConfig]]:
    """Return the schemas that a domain's config.py defines, by the code that each is for: the value of its `code`.

    Raises:
        BadInputError: two are for the same code.
    """
    module = importlib.import_module(f"ml.{domain}.config")
    found: dict[str, type[ModelConfig]] = {}
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, ModelConfig) and value.__module__ == module.__name__:
            for code in get_args(value.model_fields["code"].annotation):
                if code in found:
                    both = f"{found[code].__name__} and {value.__name__}"
                    raise BadInputError(f"ml/{domain}/config.py: {both} are both for code {code!r}; expected one")
                found[code] = value
    return found


def apply_override(document: Document, override: str, schema: type[ModelConfig]) -> None:
    """Change one value: `seed=3`, `data.minimum_rows=9`, or a hyperparameter of the chosen type by its name alone.

    Raises:
        BadInputError: not key=value, or a key that the configuration has not, or one that is not a run's to choose.
    """
    key, equals, text = override.partition("=")
    origin = f"--set {override}"
    place: Place = tuple(key.strip().split("."))
    if not equals or not all(place):
        raise BadInputError(f"{origin}: expected key=value, e.g. num_leaves=63")
    if place[0] in FIXED:
        raise BadInputError(f"{origin}: {place[0]} says which model it is; make a configuration of its own")
    if place[0] in JUDGING:
        raise BadInputError(f"{origin}: {place[0]} says what a model has to pass; change it in {document.source}")
    if len(place) == 1 and place[0] not in schema.model_fields:
        place = ("hyperparameters", str(document.values.get("model_type")), place[0])
    target = document.values
    for step in place[:-1]:
        inner = target.get(str(step))
        if not isinstance(inner, dict):
            raise BadInputError(f"{origin}: the configuration has no {'.'.join(map(str, place[:-1]))}")
        target = inner
    target[str(place[-1])] = parse_value(text)
    document.origins[place] = origin
