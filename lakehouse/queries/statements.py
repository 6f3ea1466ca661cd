"""The SQL files: one statement each, a view or an example query, under a header that says what its rows are.

Reads  sql/<domain>/<name>.sql   named <domain>/<name>; a view is views.<domain>.<name>

The statements are Trino's. Those that DuckDB understands, too, run without a server (lakehouse/queries/embedded.py).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from lakehouse.config.project import ROOT
from lakehouse.errors import BadInputError

FOLDER = ROOT / "sql"
VIEW_CATALOG = "views"
FACTS = ("Grain", "Reads", "Prunes", "Units", "Run")
"""What every header says, in this order."""

_FACT = re.compile(r"-- (?P<name>[A-Z][a-z]+) {2,}(?P<value>\S.*)")
_VIEW = re.compile(r"CREATE OR REPLACE VIEW (?P<name>[\w.]+) AS\n(?P<query>.+)", re.DOTALL)


@dataclass(frozen=True)
class SqlFile:
    """One file."""

    name: str
    """`domain/name`, without the ending."""
    doc: str
    """The header's first line: what the rows are."""
    facts: dict[str, str]
    query: str
    """The SELECT; of a view, what it stands for."""
    is_view: bool

    @property
    def view(self) -> str:
        """Where the view is found: `views.domain.name`."""
        return f"{VIEW_CATALOG}.{self.name.replace('/', '.')}"

    @property
    def schema(self) -> str:
        """Where the view's schema is found: `views.domain`."""
        return self.view.rpartition(".")[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables that the header names, as `layer.name`."""
        return tuple(name.strip().removeprefix("lakehouse.") for name in self.facts["Reads"].split(","))

    @property
    def comment(self) -> str:
        """What the view says of itself: its first line, and which text made it."""
        digest = hashlib.sha256(self.query.encode()).hexdigest()
        return f"{self.doc} [sql/{self.name}.sql {digest[:12]}]"

    @property
    def definition(self) -> str:
        """The statement that makes the view in Trino, with its comment."""
        comment = self.comment.replace("'", "''")
        return f"CREATE OR REPLACE VIEW {self.view}\nCOMMENT '{comment}'\nSECURITY DEFINER\nAS\n{self.query}"


def read_sql_files(folder: Path = FOLDER) -> tuple[SqlFile, ...]:
    """Read every file, in the order of the names.

    Raises:
        BadInputError: a header lacks something, or a view has another name than its file.
    """
    return tuple(read_sql_file(path, folder) for path in sorted(folder.glob("*/*.sql")))


def read_sql_file(path: Path, folder: Path = FOLDER) -> SqlFile:
    """Read one file.

    Raises:
        BadInputError: its header lacks something, or its view has another name than the file.
    """
    name = path.relative_to(folder).with_suffix("").as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    length = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header, statement = lines[:length], "\n".join(lines[length:]).strip()
    if not header or not statement:
        raise BadInputError(f"sql/{name}.sql:1: expected a header of -- lines, then one statement")
    facts = {match["name"]: match["value"] for line in header if (match := _FACT.fullmatch(line))}
    missing = [fact for fact in FACTS if fact not in facts]
    if missing:
        raise BadInputError(f"sql/{name}.sql:{length}: expected a header line '-- {missing[0]}  ...', found none")
    view = _VIEW.fullmatch(statement)
    query = view["query"] if view else statement
    wanted = f"{VIEW_CATALOG}.{name.replace('/', '.')}"
    if view and view["name"] != wanted:
        raise BadInputError(f"sql/{name}.sql:{length + 1}: expected the view {wanted}, found {view['name']}")
    if view is None and not re.match(r"(WITH|SELECT)\b", statement):
        raise BadInputError(
            f"sql/{name}.sql:{length + 1}: expected WITH, SELECT, or a line CREATE OR REPLACE VIEW {wanted} AS, "
            f"found {statement.splitlines()[0]!r}"
        )
    return SqlFile(name, header[0].removeprefix("-- "), facts, query, is_view=view is not None)


def find_sql_file(name: str, folder: Path = FOLDER) -> SqlFile:
    """Return the file of a name: `finance/daily_vwap`, `daily_vwap` where it is the only one, or a path.

    Raises:
        BadInputError: there is none, or there are several.
    """
    wanted = name.removesuffix(".sql").removeprefix("./").removeprefix("sql/")
    files = {file.name: file for file in read_sql_files(folder)}
    found = [file for each, file in files.items() if wanted in (each, each.partition("/")[2], file.view)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInputError(f"{name!r} is the name of several: {', '.join(file.name for file in found)}")
    spelled = {name.partition("/")[2]: name for name in files} | {name: name for name in files}
    near = dict.fromkeys(spelled[each] for each in difflib.get_close_matches(wanted, spelled, n=2, cutoff=0.5))
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(files)}"
    raise BadInputError(f"there is no SQL file {name!r}; {hint}")
