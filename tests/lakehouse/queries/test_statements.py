from pathlib import Path

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.queries.embedded import find_views, open_query
from lakehouse.queries.statements import find_sql_file, read_sql_files

HEADER = """\
-- What the rows are.
--
-- Grain   one row per day
-- Reads   lakehouse.gold.bars_1m, lakehouse.gold.instruments
-- Prunes  nothing: it is small
-- Units   none
-- Run     lakehouse sql run finance/days
"""
QUERY = "SELECT event_date\nFROM lakehouse.gold.bars_1m"


def write(folder: Path, text: str, name: str = "finance/days") -> Path:
    path = folder / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def test_read_sql_files_tells_views_from_queries(tmp_path):
    write(tmp_path, f"{HEADER}CREATE OR REPLACE VIEW views.finance.days AS\n{QUERY}\n")
    write(tmp_path, f"{HEADER}{QUERY}\n", "finance/example")
    view, example = read_sql_files(tmp_path)
    assert (view.name, view.is_view, view.view, view.schema) == (
        *("finance/days", True),
        *("views.finance.days", "views.finance"),
    )
    assert (example.name, example.is_view) == ("finance/example", False)
    assert view.query == example.query == QUERY
    assert view.doc == "What the rows are."
    assert view.reads == ("gold.bars_1m", "gold.instruments")


def test_definition_of_a_view_says_whose_rights_it_has_and_which_text_made_it(tmp_path):
    text = f"{HEADER}CREATE OR REPLACE VIEW views.finance.days AS\n{QUERY}".replace("What the", "What a day's")
    (view,) = read_sql_files(write(tmp_path, text))
    assert view.definition == (
        "CREATE OR REPLACE VIEW views.finance.days\n"
        "COMMENT 'What a day''s rows are. [sql/finance/days.sql cebe4fcb7cec]'\n"
        f"SECURITY DEFINER\nAS\n{QUERY}"
    )
    (changed,) = read_sql_files(write(tmp_path, text.replace("event_date", "bar_start")))
    assert changed.comment != view.comment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            QUERY, "sql/finance/days.sql:1: expected a header of -- lines, then one statement", id="no header"
        ),
        pytest.param(
            HEADER, "sql/finance/days.sql:1: expected a header of -- lines, then one statement", id="no query"
        ),
        pytest.param(
            HEADER.replace("-- Units   none\n", "") + QUERY,
            "sql/finance/days.sql:6: expected a header line '-- Units  ...', found none",
            id="no units",
        ),
        pytest.param(
            f"{HEADER}CREATE OR REPLACE VIEW views.energy.days AS\n{QUERY}",
            "sql/finance/days.sql:8: expected the view views.finance.days, found views.energy.days",
            id="view of another name",
        ),
        pytest.param(
            f"{HEADER}DROP TABLE lakehouse.gold.bars_1m",
            "sql/finance/days.sql:8: expected WITH, SELECT, or a line CREATE OR REPLACE VIEW views.finance.days AS, "
            "found 'DROP TABLE lakehouse.gold.bars_1m'",
            id="another statement",
        ),
    ],
)
def test_read_sql_files_says_where_a_file_is_wrong(tmp_path, text, message):
    with pytest.raises(BadInputError) as caught:
        read_sql_files(write(tmp_path, text))
    assert str(caught.value) == message


def test_find_sql_file_by_name_path_and_view(tmp_path):
    write(tmp_path, f"{HEADER}CREATE OR REPLACE VIEW views.finance.days AS\n{QUERY}")
    write(tmp_path, HEADER + QUERY, "energy/hours")
    write(tmp_path, HEADER + QUERY, "finance/hours")
    for name in ("days", "finance/days", "sql/finance/days.sql", "./sql/finance/days.sql", "views.finance.days"):
        assert find_sql_file(name, tmp_path).name == "finance/days"
    with pytest.raises(BadInputError, match="'hours' is the name of several: energy/hours, finance/hours"):
        find_sql_file("hours", tmp_path)
    with pytest.raises(BadInputError, match="there is no SQL file 'finance/day'; did you mean finance/days"):
        find_sql_file("finance/day", tmp_path)


def test_find_views_knows_quoted_and_spaced_names_and_no_other_words():
    assert [file.view for file in find_views('SELECT * FROM "views" . finance."Daily_VWAP"')] == [
        "views.finance.daily_vwap"
    ]
    assert find_views("SELECT * FROM views.finance.daily_vwaps") == ()
    assert find_views("SELECT views.x FROM gold.bars_1m AS views") == ()
    assert find_views("SELECT * FROM old_views.finance.daily_vwap") == ()


def test_query_of_a_view_names_the_missing_table(tmp_path):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    (tmp_path / "catalog.db").touch()
    with (
        pytest.raises(BadInputError, match=r"there is no table gold\.bars_1m; there are none"),
        open_query("SELECT * FROM views.finance.daily_vwap", settings),
    ):
        pass
