"""How a table is declared: plain frozen dataclasses, no Spark, so that Dags, models and tests need no JVM for them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

CATALOG = "lakehouse"

Layer = Literal["bronze", "silver", "gold", "ops", "quality", "registry"]
Kind = Literal["data", "log"]


@dataclass(frozen=True)
class Column:
    """One column. `type` is Spark SQL's spelling, which Iceberg, Trino and Arrow types are derived from.

    `minimum` and `maximum` are inclusive unless `exclusive_minimum`; `allowed` lists the only values of a text column.
    A column that is not `nullable` is audited for nulls, not declared NOT NULL: a null must reach the audit, where it
    gets a report, and not a writer's traceback.
    """

    name: str
    type: str
    doc: str
    unit: str = ""
    nullable: bool = False
    minimum: Decimal | int | float | None = None
    maximum: Decimal | int | float | None = None
    exclusive_minimum: bool = False
    allowed: tuple[str, ...] = ()
    has_few_values: bool = False
    """Few values repeat through a file, which is then written with a dictionary of them."""
    formerly: tuple[str, ...] = ()
    """Names that the column had in earlier versions: `lakehouse migrate` renames it in tables made by them."""


@dataclass(frozen=True)
class Table:
    """One table: everything that DDL, closing selects, suites, docs and tests must agree on.

    `primary_key` is unique over the whole table; it holds every partition column or determines it.
    `partitioned_by` names columns, or the months of one: `months(event_date)`, where a day has few rows.
    `replaced_by` names the column whose values a run replaces whole (a day, in most tables).
    A `log` table is append-only, written straight to `main` and read as the last row per key.
    """

    layer: Layer
    name: str
    doc: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    partitioned_by: tuple[str, ...] = ()
    sorted_by: tuple[str, ...] = ()
    replaced_by: str | None = None
    kind: Kind = "data"
    may_be_empty: bool = False
    """True where a run may rightly write no row, as for rejected rows."""
    subject: str = "instrument_id"
    """The column that says what a row is about: an instrument, a meter, an image set."""
    event_time: str = "ts_event"
    """The column of a bronze table that says when it was."""

    @property
    def identifier(self) -> str:
        """`layer.name`, as PyIceberg and the command line spell it."""
        return f"{self.layer}.{self.name}"

    @property
    def full_name(self) -> str:
        """`catalog.layer.name`, as Spark and Trino spell it."""
        return f"{CATALOG}.{self.layer}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns in declared order: the closing select of every job."""
        return tuple(column.name for column in self.columns)

    @property
    def is_by_month(self) -> bool:
        """Whether a partition holds the rows of a month, of which a run replaces some days."""
        return self.partitioned_by == (f"months({self.replaced_by})",)

    @property
    def has_parts(self) -> bool:
        """Whether rows belong to one subject and one slice, so that a part may be held back alone."""
        return self.layer != "bronze" and {self.subject, self.replaced_by} <= set(self.column_names)

    @property
    def row_order(self) -> tuple[str, ...]:
        """The columns that put the rows of one replaced day into a total order: how files are sorted."""
        return tuple(dict.fromkeys((*self.sorted_by, *self.primary_key)))

    @property
    def digest_columns(self) -> tuple[str, ...]:
        """The columns that two equal tables agree on: all but the time of loading."""
        return tuple(name for name in self.column_names if name != "_ingested_at")

    def current_name(self, name: str) -> str:
        """Return the declared name of a column that had the given name in the past; any other name as it is."""
        return next((column.name for column in self.columns if name in column.formerly), name)

    def column(self, name: str) -> Column:
        """Return the declaration of one column.

        Raises:
            KeyError: the table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.identifier} has no column {name!r}; it has {', '.join(self.column_names)}")
