"""Gold tables of image sets: found by name, known once they exist."""

from __future__ import annotations

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import known_tables, load_or_create, migrate
from lakehouse.tables import TABLES, find_table
from lakehouse.tables.vision import gold_images


@pytest.fixture
def settings(tmp_path):
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path)})


def test_find_table_knows_the_gold_table_of_every_name_of_a_set():
    assert find_table("gold.mnist_images") in TABLES
    assert find_table("gold.fashion_mnist_images") == gold_images("fashion_mnist")


@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param("silver.mnist_images", id="another layer"),
        pytest.param("gold._images", id="no name"),
        pytest.param("gold.Mnist_images", id="capital letter"),
        pytest.param("gold.mnist-x_images", id="not of the grammar"),
        pytest.param("gold.mnist_images; DROP", id="more than a name"),
    ],
)
def test_find_table_refuses_what_is_no_name_of_a_set(identifier):
    with pytest.raises(BadInputError, match=r"no table .* is declared; there are .*, and gold.<image set>_images"):
        find_table(identifier)


def test_known_tables_adds_the_sets_of_users_that_exist(settings):
    catalog = open_catalog(settings)
    assert known_tables(catalog) == TABLES
    own = gold_images("fashion_mnist")
    load_or_create(catalog, settings, own)
    assert known_tables(catalog) == (*TABLES, own)


def test_migrate_makes_the_tables_that_a_caller_adds_once(settings):
    own = gold_images("fashion_mnist")
    assert migrate(settings, (own,)) == [f"made {table.identifier}" for table in (*TABLES, own)]
    assert migrate(settings, (own,)) == []
