"""docs/settings.md is what the fields say, and every field says something."""

from __future__ import annotations

from lakehouse.config.environment import variable_of
from lakehouse.config.project import pipelines
from lakehouse.config.settings import Settings
from lakehouse.docs.settings import PAGE, render


def test_committed_page_is_what_the_fields_say():
    assert PAGE.read_text(encoding="utf-8") == render(), "docs/settings.md is stale; run: make docs"


def test_every_field_has_a_description_and_one_row():
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    assert not undescribed, f"Field(description=...) is missing for {', '.join(undescribed)}"
    listed = [line.split("`")[1] for line in render().splitlines() if line.startswith("| `")]
    schedules = [variable_of(f"{domain}_schedule") for domain in pipelines()]
    fields = [variable_of(name) for name in Settings.model_fields if name != "schedules"]
    assert sorted(listed) == sorted([*fields, *schedules])


def test_a_row_states_type_default_and_meaning():
    rows = {line.split("`")[1]: line for line in render().splitlines() if line.startswith("| `")}
    assert rows["LAKEHOUSE_SHUFFLE_PARTITIONS"] == (
        "| `LAKEHOUSE_SHUFFLE_PARTITIONS` | whole number from 1 | `8` | Tasks of a shuffle: a few times the cores of "
        "the whole cluster. |"
    )
    assert rows["LAKEHOUSE_S3_REGION"] == "| `LAKEHOUSE_S3_REGION` | text | `us-east-1` | Region of the store. |"
    assert rows["LAKEHOUSE_HOME"].split(" | ")[1:3] == ["folder", "`lakehouse-home` in the project's folder"]
    assert rows["LAKEHOUSE_MLFLOW_PASSWORD"].split(" | ")[1:3] == ["secret", "empty"]
    assert rows["LAKEHOUSE_AIRFLOW_PORT"].split(" | ")[1:3] == ["whole number from 1024 to 65535", "`8080`"]
    assert rows["LAKEHOUSE_PROFILE"].split(" | ")[1:3] == ["`embedded`, `stack`", "`embedded`"]
