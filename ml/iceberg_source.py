"""An Iceberg table at a snapshot as MLflow's dataset source; MLflow finds it by the entry point in pyproject.toml."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from mlflow.data.dataset_source import DatasetSource

from lakehouse.tables.model import CATALOG


class IcebergSource(DatasetSource):  # type: ignore[misc]  # the package has no types
    """Catalog, table, snapshot, tag and schema id: enough to read the very same rows again."""

    def __init__(self, table: str, snapshot_id: int, tag: str, schema_id: int, catalog: str = CATALOG) -> None:
        self.catalog = catalog
        self.table = table
        self.snapshot_id = snapshot_id
        self.tag = tag
        self.schema_id = schema_id

    @staticmethod
    def _get_source_type() -> str:
        return "iceberg"

    def load(self, **_: Any) -> pa.Table:
        """Read all rows and all columns that the snapshot has."""
        from lakehouse.config.settings import settings
        from ml.gold import Pin, RowFilter, read_gold

        pin = Pin(self.table, self.tag, self.snapshot_id, self.schema_id)
        return read_gold(settings(), pin, None, RowFilter())

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return False  # a source is made by training, never guessed from a text

    @classmethod
    def _resolve(cls, raw_source: Any) -> IcebergSource:
        raise NotImplementedError("an Iceberg source is made from table, snapshot and tag")

    def to_dict(self) -> dict[str, Any]:
        """Return it as MLflow stores it; ids as text, since JavaScript rounds numbers of that size."""
        return {
            "catalog": self.catalog,
            "table": self.table,
            "snapshot_id": str(self.snapshot_id),
            "tag": self.tag,
            "schema_id": self.schema_id,
        }

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> IcebergSource:
        """Read back what `to_dict` wrote."""
        return cls(
            table=source_dict["table"],
            snapshot_id=int(source_dict["snapshot_id"]),
            tag=source_dict["tag"],
            schema_id=int(source_dict["schema_id"]),
            catalog=source_dict["catalog"],
        )
