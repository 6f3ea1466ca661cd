"""A dialect says exactly what a file looks like; what it says wrongly is named with file and line."""

from __future__ import annotations

import re

import pytest

from lakehouse.errors import BadInputError
from lakehouse.reference.declaration import parse_all
from spark_jobs.sources.dialect import path_regex
from spark_jobs.sources.dialect_file import our_dialects, parse_dialect

TEXT = """\
name: garage
paths: ["meters/*.csv"]
meter_id: garage.HOME
country: DE
interval_min: 15
header: when,W
separator: ","
time:
  fields: [when]
  forms:
    - form: yyyy-mm-dd HH:MM
measures:
  active_power: {field: W, unit: W}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("country: DE", "country: DE\ncolour: red", "garage.yaml:5: colour: unknown key", id="unknown"),
        pytest.param("country: DE\n", "", "garage.yaml:1: country: missing", id="missing"),
        pytest.param("country: DE", "country: XX", "garage.yaml:4: country: 'XX' is not a country", id="country"),
        pytest.param("interval_min: 15", "interval_min: '15'", "garage.yaml:5: interval_min: input should", id="type"),
        pytest.param(
            "interval_min: 15", "interval_min: 7", "garage.yaml:5: interval_min: 7 minutes do not", id="7 min"
        ),
        pytest.param('separator: ","', "separator: ' '", "garage.yaml:7: separator: input should be ','", id="blank"),
        pytest.param(
            "yyyy-mm-dd HH:MM", "yyyy-mm HH:MM", "garage.yaml:11: time.forms.0.form: 'yyyy-mm HH:MM'", id="day"
        ),
        pytest.param(
            "HH:MM", "HH:MM\n      days: [12, 1]", "garage.yaml:12: time.forms.0.days: expected days", id="days"
        ),
        pytest.param(
            "  forms:",
            "  zone: Mars\n  forms:",
            "garage.yaml:10: time.zone: 'Mars' is not an IANA",
            id="zone",
        ),
        pytest.param(
            "unit: W}",
            "unit: V}",
            "garage.yaml:13: measures.active_power.unit: active_power in 'V': expected W, kW, MW, Wh",
            id="unit",
        ),
        pytest.param(
            "field: W",
            "field: kW",
            "garage.yaml:13: measures.active_power.field: the header has no field 'kW'",
            id="field",
        ),
        pytest.param(
            "field: W", "field: when", "garage.yaml:13: measures.active_power.field: field 'when' is used", id="twice"
        ),
        pytest.param("header: when,W", "header: when,W,W", "garage.yaml:6: header: field 'W' is given", id="header"),
        pytest.param("  active_power:", "  power:", "garage.yaml:12: measures: active_power is missing", id="measure"),
        pytest.param(
            "  active_power:",
            "  sub_metering_1: {field: a, unit: Wh}\n  sub_metering_2: {field: b, unit: kWh}\n  active_power:",
            "garage.yaml:12: measures: expected one unit for all sub-meters, found Wh, kWh",
            id="sub-meters",
        ),
        pytest.param(
            "garage.HOME", "garage.{place}", "garage.yaml:3: meter_id: {place} is not in every path", id="placeholder"
        ),
        pytest.param("country: DE", "country: [", "garage.yaml:6: expected YAML, found", id="no yaml"),
    ],
)
def test_a_wrong_dialect_is_refused_with_file_and_line(old, new, message):
    assert old in TEXT
    with pytest.raises(BadInputError) as raised:
        parse_dialect(TEXT.replace(old, new), "garage.yaml")
    assert str(raised.value).startswith(message)


def test_units_become_kilowatts_by_the_interval():
    assert parse_dialect(TEXT, "x").factor("active_power") == pytest.approx(0.001)
    energy = TEXT.replace("unit: W}", "unit: kWh}")
    assert parse_dialect(energy, "x").factor("active_power") == 4.0
    assert parse_dialect(energy, "x").factor("voltage") == 1.0


def test_the_digest_changes_with_meaning_and_not_with_words():
    digest = parse_dialect(TEXT, "x").digest
    assert parse_dialect(TEXT + "doc: a garage\n", "x").digest == digest
    assert parse_dialect(TEXT.replace("unit: W}", "unit: kW}"), "x").digest != digest


def test_placeholders_carry_over_from_path_to_meter_and_header():
    text = TEXT.replace("meters/*.csv", "**/{place}_{part}.csv").replace("garage.HOME", "'{place}.HOME'")
    dialect = parse_dialect(
        text.replace("header: when,W", 'header: "when,{place}_W"').replace("field: W", 'field: "{place}_W"'), "x"
    )
    values = dialect.match("a/b/attic_07.csv")
    assert values == {"place": "attic", "part": "07"}
    resolved = dialect.resolve(values)
    assert (resolved.meter_id, resolved.header, resolved.fields) == ("attic.HOME", "when,attic_W", ("when", "attic_W"))
    assert resolved.measures["active_power"].field == "attic_W"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        pytest.param("**/a.csv", "a.csv", True, id="no folder"),
        pytest.param("**/a.csv", "x/y/a.csv", True, id="folders"),
        pytest.param("*.csv", "x/a.csv", False, id="a star stays in its folder"),
        pytest.param("a?.csv", "ab.csv", True, id="one character"),
        pytest.param("a.csv", "aXcsv", False, id="a dot is a dot"),
    ],
)
def test_path_patterns(pattern, path, fits):
    assert bool(re.fullmatch(path_regex(pattern), path)) is fits


def test_our_dialects_are_sound_and_two_of_one_name_are_refused():
    names = [dialect.name for dialect in our_dialects()]
    assert names == [
        "ett_hourly",
        "ett_quarter_hourly",
        "pjm_hourly",
        "steel_plant",
        "uci_household",
        "uci_household_half_year",
    ]
    with pytest.raises(BadInputError, match=r"^b\.yaml and a\.yaml both declare the dialect 'garage'"):
        parse_all([("a.yaml", TEXT.encode()), ("b.yaml", TEXT.encode())], parse_dialect, "dialect")
