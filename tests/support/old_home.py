"""The home that version 0.1 left behind, unpacked wherever a test wants it.

Iceberg and MLflow write absolute paths: into metadata JSON, Avro manifests, and both databases. Each is rewritten here,
so that two tests can have a copy of their own at once.
"""

from __future__ import annotations

import sqlite3
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pyiceberg.avro.file import AvroFile, AvroOutputFile
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import Record

PACKED_HOME = "/tmp/lakehouse-0.1/home"
"""Where the home lay when it was packed: every absolute path in the archive begins with it."""


def unpack_home(archive: Path, home: Path) -> None:
    """Unpack a home made by make_home.py into a folder that does not exist yet, and point its paths there.

    Raises:
        FileExistsError: there is something at `home`.
        ValueError: `home` is relative, or its path has characters that a file URI escapes.
    """
    if not home.is_absolute() or quote(str(home)) != str(home):
        raise ValueError(f"expected an absolute path that stands in a URI as it is, found {home}")
    home.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="data")
    point_to(home)


def point_to(home: Path) -> None:
    """Write the home's own place into every file that names PACKED_HOME."""
    folders = sorted(home.glob("warehouse/*/*/metadata"))
    for folder in folders:
        files = sorted(folder.glob("*.avro"))
        # Manifests first: a list of manifests holds their lengths in bytes, which change with the paths
        for file in sorted(files, key=lambda file: file.name.startswith("snap-")):
            rewrite_avro(file, home)
        for file in folder.glob("*.metadata.json"):
            file.write_text(file.read_text("utf-8").replace(PACKED_HOME, str(home)), "utf-8")
    for database in (home / "catalog.db", home / "mlflow" / "mlflow.db"):
        rewrite_database(database, home)


def rewrite_avro(file: Path, home: Path) -> None:
    """Rewrite one manifest or list of manifests, header and records otherwise as they were."""
    io = PyArrowFileIO()
    with AvroFile[Record](io.new_input(str(file))) as source:
        records = [moved(record, home) for record in source]
        header, schema = dict(source.header.meta), source.schema
    names = [field.name for field in schema.fields]
    if "manifest_length" in names:
        for record in records:
            manifest = Path(urlsplit(record[names.index("manifest_path")]).path)
            record[names.index("manifest_length")] = manifest.stat().st_size
    kind = "manifest_file" if "manifest_path" in names else "manifest_entry"
    with AvroOutputFile[Record](io.new_output(str(file)), schema, kind, metadata=header) as target:
        if records:
            target.write_block(records)


def moved(value: Any, home: Path) -> Any:
    """Return a value of an Avro record with the new place in every text, at any depth."""
    if isinstance(value, str):
        return value.replace(PACKED_HOME, str(home))
    if isinstance(value, list):
        return [moved(item, home) for item in value]
    if isinstance(value, Record):
        return Record(*(moved(value[place], home) for place in range(len(value))))
    return value


def rewrite_database(path: Path, home: Path) -> None:
    """Replace the old place by the new one in every text of a SQLite database."""
    with sqlite3.connect(path) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for column in database.execute(f'PRAGMA table_info("{table}")').fetchall():
                name = f'"{column[1]}"'
                database.execute(
                    f'UPDATE "{table}" SET {name} = replace({name}, ?, ?) '  # noqa: S608 - the database's own names
                    f"WHERE typeof({name}) = 'text' AND instr({name}, ?)",
                    (PACKED_HOME, str(home), PACKED_HOME),
                )
    database.close()
