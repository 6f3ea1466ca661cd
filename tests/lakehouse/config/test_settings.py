import copy
from pathlib import Path

import pytest

from lakehouse.config import environment, project
from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError

STACK = {
    "LAKEHOUSE_PROFILE": "stack",
    "LAKEHOUSE_WAREHOUSE": "s3://lake/warehouse/",
    "LAKEHOUSE_CATALOG_PASSWORD": "p@ss/word",
    "LAKEHOUSE_S3_ENDPOINT": "http://127.0.0.1:9000",
    "LAKEHOUSE_S3_SECRET_ACCESS_KEY": "hidden-key",
}

REST = {
    "LAKEHOUSE_CATALOG_TYPE": "rest",
    "LAKEHOUSE_CATALOG_URI": "https://host/catalog/",
    "LAKEHOUSE_CATALOG_WAREHOUSE": "ticks",
    "LAKEHOUSE_CATALOG_CREDENTIAL": "me:hidden-key",
    "LAKEHOUSE_CATALOG_OAUTH2_URI": "https://host/tokens",
}


def test_embedded_settings_follow_from_home():
    settings = read_settings({"LAKEHOUSE_HOME": "/data/lake", "PATH": "/bin"})
    assert {
        "landing": settings.landing_root,
        "warehouse": settings.warehouse_uri,
        "catalog": settings.catalog_file,
        "reports": settings.reports,
        "jdbc": settings.catalog_jdbc_uri,
        "pyiceberg": settings.pyiceberg_properties(),
    } == {
        "landing": "/data/lake/landing",
        "warehouse": "file:///data/lake/warehouse",
        "catalog": Path("/data/lake/catalog.db"),
        "reports": Path("/data/lake/reports"),
        "jdbc": "jdbc:sqlite:/data/lake/catalog.db?journal_mode=WAL&busy_timeout=30000&synchronous=NORMAL",
        "pyiceberg": {
            "uri": "sqlite:////data/lake/catalog.db?timeout=30",
            "warehouse": "file:///data/lake/warehouse",
        },
    }


def test_home_is_absolute_whatever_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert read_settings({"LAKEHOUSE_HOME": "here"}).home == tmp_path / "here"
    assert read_settings({"LAKEHOUSE_HOME": "~/lake"}).home == tmp_path / "me" / "lake"


def test_stack_settings_reach_catalog_and_store():
    settings = read_settings(STACK)
    assert settings.catalog_jdbc_uri == "jdbc:postgresql://127.0.0.1:5432/iceberg"
    assert settings.pyiceberg_properties() == {
        "uri": "postgresql+psycopg://iceberg:p%40ss%2Fword@127.0.0.1:5432/iceberg",
        "warehouse": "s3://lake/warehouse",
        "s3.endpoint": "http://127.0.0.1:9000",
        "s3.region": "us-east-1",
        "s3.secret-access-key": "hidden-key",
    }


def test_rest_catalog_is_opened_by_address_and_credential():
    settings = read_settings(REST)
    assert settings.pyiceberg_properties() == {
        "uri": "https://host/catalog",
        "warehouse": "ticks",
        "oauth2-server-uri": "https://host/tokens",
        "credential": "me:hidden-key",
    }
    assert not settings.has_catalog_file
    assert "hidden-key" not in repr(settings)


def test_printed_settings_hold_no_secret():
    settings = read_settings(STACK)
    for printed in (str(settings), repr(settings), settings.model_dump_json()):
        assert "p@ss/word" not in printed
        assert "hidden-key" not in printed


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        pytest.param(
            {"LAKEHOUSE_HOM": "/x"}, "LAKEHOUSE_HOM is not a setting; did you mean LAKEHOUSE_HOME?", id="misspelled"
        ),
        pytest.param({"lakehouse_home": "/x"}, "lakehouse_home is not a setting", id="lower case"),
        pytest.param(
            {"LAKEHOUSE_HOM": "/x", "LAKEHOUSE_LANDNIG": "/y"},
            "LAKEHOUSE_HOM is not a setting; did you mean LAKEHOUSE_HOME?; "
            "LAKEHOUSE_LANDNIG is not a setting; did you mean LAKEHOUSE_LANDING?",
            id="two misspelled",
        ),
        pytest.param(
            {"LAKEHOUSE_FORECAST_SCHEDULE": "daily"},
            "LAKEHOUSE_FORECAST_SCHEDULE is not a setting; did you mean LAKEHOUSE_ENERGY_SCHEDULE?",
            id="name of an earlier version",
        ),
        pytest.param(
            {"LAKEHOUSE_SCHEDULES": "{}"},
            "LAKEHOUSE_SCHEDULES is not a setting; did you mean LAKEHOUSE_",
            id="field of the domains' schedules",
        ),
        pytest.param(
            {"LAKEHOUSE_WEATHER_SCHEDULE": "daily"},
            "LAKEHOUSE_WEATHER_SCHEDULE is not a setting; did you mean LAKEHOUSE_",
            id="schedule of no domain",
        ),
        pytest.param(
            {"LAKEHOUSE_VISION_SCHEDULE": "dayly"},
            "LAKEHOUSE_VISION_SCHEDULE: Input should be 'manual', 'quarter_hourly', 'hourly', 'daily', 'weekly' or",
            id="schedule without a meaning",
        ),
        pytest.param(
            {"LAKEHOUSE_AIRFLOW_PORT": "80", "LAKEHOUSE_TRAINING_PODS": "perhaps"},
            "LAKEHOUSE_AIRFLOW_PORT: Input should be greater than or equal to 1024; LAKEHOUSE_TRAINING_PODS: Input",
            id="two wrong values",
        ),
        pytest.param(
            {"LAKEHOUSE_SHUFFLE_PARTITIONS": "0"},
            "LAKEHOUSE_SHUFFLE_PARTITIONS: Input should be greater than or equal to 1",
            id="out of range",
        ),
        pytest.param(
            {"LAKEHOUSE_PROFILE": "cloud"}, "LAKEHOUSE_PROFILE: Input should be 'embedded' or 'stack'", id="no profile"
        ),
        pytest.param(
            {"LAKEHOUSE_DRIVER_MEMORY": "4 GB"},
            "LAKEHOUSE_DRIVER_MEMORY: String should match pattern '^[1-9][0-9]*[mg]$'",
            id="no memory size",
        ),
        pytest.param(
            {"LAKEHOUSE_PROFILE": "stack"},
            "profile stack needs LAKEHOUSE_WAREHOUSE, LAKEHOUSE_CATALOG_PASSWORD, or the servers that `lakehouse up`",
            id="half a stack",
        ),
        pytest.param(
            {"LAKEHOUSE_CATALOG_TYPE": "rset"},
            "LAKEHOUSE_CATALOG_TYPE: Input should be 'jdbc' or 'rest'",
            id="no type of catalog",
        ),
        pytest.param(
            {"LAKEHOUSE_CATALOG_TYPE": "rest"},
            "LAKEHOUSE_CATALOG_URI: expected a URL like https://host/catalog, found none",
            id="rest without address",
        ),
        pytest.param(
            {**REST, "LAKEHOUSE_CATALOG_URI": "jdbc:postgresql://host/iceberg"},
            "LAKEHOUSE_CATALOG_URI: expected a URL like https://host/catalog, found another",
            id="rest at a database",
        ),
        pytest.param(
            {**REST, "LAKEHOUSE_CATALOG_URI": "https://me:hidden-key@host/catalog"},
            "LAKEHOUSE_CATALOG_URI: expected no login in the URL; give LAKEHOUSE_CATALOG_CREDENTIAL or _TOKEN",
            id="login in the address",
        ),
        pytest.param(
            {**REST, "LAKEHOUSE_CATALOG_TYPE": "jdbc"},
            "LAKEHOUSE_CATALOG_CREDENTIAL is for LAKEHOUSE_CATALOG_TYPE=rest, found jdbc",
            id="rest's settings without rest",
        ),
        pytest.param(
            {**REST, "LAKEHOUSE_CATALOG_PASSWORD": "p@ss/word"},
            "LAKEHOUSE_CATALOG_PASSWORD is for LAKEHOUSE_CATALOG_TYPE=jdbc, found rest",
            id="a database's settings with rest",
        ),
        pytest.param(
            {**REST, "LAKEHOUSE_CATALOG_TOKEN": "p@ss/word"},
            "expected LAKEHOUSE_CATALOG_TOKEN or LAKEHOUSE_CATALOG_CREDENTIAL, found both",
            id="two logins",
        ),
        pytest.param(
            {
                "LAKEHOUSE_CATALOG_TYPE": "rest",
                "LAKEHOUSE_CATALOG_URI": "http://host",
                "LAKEHOUSE_CATALOG_OAUTH2_URI": "http://host/tokens",
            },
            "LAKEHOUSE_CATALOG_OAUTH2_URI needs LAKEHOUSE_CATALOG_CREDENTIAL, found none",
            id="nothing to exchange",
        ),
    ],
)
def test_read_settings_refuses_in_one_line(environment, message):
    with pytest.raises(BadInputError) as caught:
        read_settings(environment)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not [secret for secret in ("p@ss/word", "hidden-key") if secret in str(caught.value)]


def test_read_settings_refuses_without_repeating_a_secret():
    with pytest.raises(BadInputError) as caught:
        read_settings({**STACK, "LAKEHOUSE_CATALOG_PORT": "none"})
    assert "p@ss/word" not in str(caught.value)


def test_variables_of_the_tests_are_no_settings():
    assert read_settings({"LAKEHOUSE_REAL_DATA": "/data"}) == read_settings({})


def test_a_variable_of_this_process_is_no_part_of_another_environment(monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_DRIVER_MEMORY", "9g")
    assert read_settings({}).driver_memory == "4g"


def test_a_new_domains_folder_brings_its_schedule(monkeypatch, tmp_path):
    for domain in ("finance", "weather"):
        (tmp_path / "spark_jobs" / domain).mkdir(parents=True)
        (tmp_path / "spark_jobs" / domain / "pipeline.py").touch()
    (tmp_path / "spark_jobs" / "engine").mkdir()  # no pipeline: it is no domain
    monkeypatch.setattr(project, "ROOT", tmp_path)
    given = {"LAKEHOUSE_HOME": "/x", "LAKEHOUSE_WEATHER_SCHEDULE": "hourly"}
    assert read_settings(given).schedules == {"weather": "hourly"}
    assert environment.schedule_variables() == {
        "LAKEHOUSE_FINANCE_SCHEDULE": "finance",
        "LAKEHOUSE_WEATHER_SCHEDULE": "weather",
    }
    with pytest.raises(BadInputError, match="LAKEHOUSE_ENGINE_SCHEDULE is not a setting"):
        read_settings({"LAKEHOUSE_ENGINE_SCHEDULE": "daily"})


def test_a_copy_reads_no_environment_and_settings_stay_as_they_were_read(monkeypatch):
    settings = read_settings(STACK)
    monkeypatch.setenv("LAKEHOUSE_DRIVER_MEMORY", "9g")
    assert copy.deepcopy(settings) == settings  # as when Spark sends them to a task
    assert settings.model_copy(update={"landing": "/x"}).driver_memory == "4g"
    with pytest.raises(ValueError, match="frozen"):
        settings.landing = "/elsewhere"
