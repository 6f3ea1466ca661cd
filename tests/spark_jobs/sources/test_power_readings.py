"""Meter files are read as their dialect says or refused with the line that differs; a re-export is never misread."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from spark_jobs.sources.dialect_file import parse_dialect
from spark_jobs.sources.discovery import claim_file
from spark_jobs.sources.power_readings import MeterClaim, PowerReadings

HEADER = (
    "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;"
    "Sub_metering_1;Sub_metering_2;Sub_metering_3"
)
PATH = "power/household_power_consumption.txt"
VALUES = "4.216;0.418;234.840;18.400;0.000;1.000;17.000"


def uci(*lines):
    return "\n".join([HEADER, *lines]).encode() + b"\n"


def quoted(*lines):
    return "\n".join(";".join(f'"{field}"' for field in line.split(";")) for line in lines).encode()


def hours(form, count, first=datetime(2007, 1, 1)):
    """Lines an hour apart; the UCI file itself has its dates as {d}/{m}/{y}."""
    times = [first + timedelta(hours=n) for n in range(count)]
    return [form.format(d=t.day, m=t.month, y=t.year, t=f"{t:%H:%M:%S}") + ";" + VALUES for t in times]


def test_the_uci_file_is_read_with_its_missing_measures_and_its_cut_line(read):
    rows = read(uci(f"16/12/2006;17:24:00;{VALUES}", "1/1/2007;00:00:00;?;?;?;?;?;?;", "14/1/20"), PATH).to_pylist()
    names = ("meter_id", "event_date", "interval_start", "raw_active_power", "raw_sub_metering_3", "raw_line")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("household.UCI", date(2006, 12, 16), datetime(2006, 12, 16, 17, 24), "4.216", "17.000", None),
        ("household.UCI", date(2007, 1, 1), datetime(2007, 1, 1), None, None, None),
        # The cut line has no time: it counts to the file's first day.
        ("household.UCI", date(2006, 12, 16), None, None, None, "14/1/20"),
    ]
    assert [row["_source_line"] for row in rows] == [2, 3, 4]


def test_line_ends_byte_order_mark_and_zip_make_no_difference(read, zipped):
    lines = [f"16/12/2006;17:24:00;{VALUES}", f"16/12/2006;17:25:00;{VALUES}"]
    plain = read(uci(*lines), PATH)
    crlf = read(b"\xef\xbb\xbf" + uci(*lines).replace(b"\n", b"\r\n"), PATH)
    packed = read(
        zipped({"household_power_consumption.txt": uci(*lines)}), "individual+household+electric+power+consumption.zip"
    )
    columns = [name for name in plain.column_names if name not in ("_source_file", "_source_member")]
    assert plain.select(columns).equals(crlf.select(columns))
    assert plain.select(columns).equals(packed.select(columns))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(uci(f"1/1/2007;00:00:00;{VALUES}").replace(b";", b","), "line 1 is of no declared", id="comma"),
        pytest.param(uci(f"1/1/2007;00:00:00;{VALUES}").replace(b";", b"\t"), "line 1 is of no declared", id="tab"),
        pytest.param(quoted(HEADER, f"1/1/2007;00:00:00;{VALUES}"), "line 1 is of no declared", id="quoted"),
        pytest.param(
            uci('"1/1/2007";"00:00:00";"4.2";"0.4";"234.8";"18.4";"0";"1";"17"'),
            "line 2: expected a time of the form 'd/m/yyyy HH:MM:SS', found '\"1/1/2007\" \"00:00:00\"'",
            id="quoted below a plain header",
        ),
        pytest.param(
            uci(f"1/1/2007;00:00:00;{VALUES}".replace(".", ",")),
            "line 2: expected a number with '.' as its decimal mark in Global_active_power, found '4,216'",
            id="decimal comma",
        ),
        pytest.param(
            uci(f"2007-01-01;00:00:00;{VALUES}"),
            "line 2: expected a time of the form 'd/m/yyyy HH:MM:SS', found '2007-01-01 00:00:00'",
            id="iso dates",
        ),
        pytest.param(
            uci(f"01/01/2007;00:00:00;{VALUES}"),
            "line 2: expected a time of the form 'd/m/yyyy HH:MM:SS', found '01/01/2007 00:00:00'",
            id="padded dates",
        ),
        pytest.param(
            uci(*hours("{m}/{d}/{y};{t}", 24 * 20)),
            "line 290: expected a time of the form 'd/m/yyyy HH:MM:SS', found '1/13/2007 00:00:00', which",
            id="month first",
        ),
        pytest.param(
            uci(*hours("{m}/{d}/{y};{t}", 24 * 9)),
            "line 2 and after: midnight comes and the month goes on by one, never the day",
            id="month first within twelve days",
        ),
        pytest.param(
            uci(f"1/1/2007;24:00:00;{VALUES}"),
            "line 2: expected a time of the form 'd/m/yyyy HH:MM:SS', found '1/1/2007 24:00:00', which no calendar has",
            id="24:00 that nobody declared",
        ),
        pytest.param(uci(), "the file holds no rows", id="header alone"),
        pytest.param(uci("1/1/2007;00:00:00;1"), "none of its 1 lines has the 9 fields", id="other fields"),
    ],
)
def test_what_is_not_of_the_dialect_is_refused_with_the_line(reason_of, content, reason):
    found = reason_of(content, PATH)
    assert found.startswith(reason)


def test_a_torn_line_in_the_middle_costs_no_other_line(read):
    lines = hours("{d}/{m}/{y};{t}", 4)
    lines[2] = "x" + lines[2]
    rows = read(uci(*lines), PATH)
    assert rows["interval_start"].null_count == 1
    assert rows["raw_time"].to_pylist()[2].startswith("x1/1/2007")


def test_the_half_year_file_has_two_forms_by_the_day_of_the_month(read, zipped, reason_of):
    header = "index," + HEADER.replace(";", ",")
    values = "2.58,0.136,241.97,10.6,0,0,0.0"

    def packed(*times):
        lines = [header, *(f"{n},{time},{values}" for n, time in enumerate(times))]
        return zipped({"household_power_consumption.csv": "\n".join(lines) + "\n"})

    path = "household_power_consumption.zip"
    rows = read(packed("1/2/07,9:05:00", "13/2/2007,23:59:00"), path)
    assert rows["interval_start"].to_pylist() == [datetime(2007, 2, 1, 9, 5), datetime(2007, 2, 13, 23, 59)]
    # A short year on the 13th, or a long one on the 1st, is of neither form.
    rows = read(packed("1/2/07,9:05:00", "13/2/07,0:00:00", "1/2/2007,0:00:00"), path)
    assert rows["interval_start"].null_count == 2
    assert "found '1/2/2007 9:05:00'" in reason_of(packed("1/2/2007,9:05:00"), path)


def test_pjm_hours_end_at_their_time_and_carry_what_the_zone_says(read):
    lines = ["Datetime,AEP_MW", "2014-03-09 02:00:00,1.0", "2014-11-02 02:00:00,2.0", "2014-11-02 02:00:00,3.0"]
    rows = read("\n".join(lines).encode(), "AEP_hourly.csv").to_pylist()
    names = ("meter_id", "interval_start", "utc_offset_min", "second_utc_offset_min", "active_power_factor")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("AEP.PJM", datetime(2014, 3, 9, 1), -300, None, 1000.0),
        ("AEP.PJM", datetime(2014, 11, 2, 1), -240, -300, 1000.0),
        ("AEP.PJM", datetime(2014, 11, 2, 1), -240, -300, 1000.0),
    ]


def test_the_steel_plants_midnight_ends_its_day(read):
    header = next(d for d in claim_file("Steel_industry_data.csv").dialects).header
    tail = ",2.95,0,0,73.21,100,900,Weekday,Monday,Light_Load"
    lines = [header, f"01/01/2018 00:15,3.17{tail}", f"01/01/2018 00:00,3.67{tail}", f"02/01/2018 00:15,4{tail}"]
    rows = read("\r\n".join(lines).encode(), "Steel_industry_data.csv")
    assert rows["interval_start"].to_pylist() == [
        datetime(2018, 1, 1, 0, 0),
        datetime(2018, 1, 1, 23, 45),
        datetime(2018, 1, 2, 0, 0),
    ]


def test_ends_of_intervals_at_the_jump_of_the_clock_belong_before_it():
    dialect = parse_dialect(
        "name: q\npaths: ['q.csv']\nmeter_id: q.X\ncountry: DE\ninterval_min: 15\nheader: t,P\nseparator: ','\n"
        "time: {fields: [t], forms: [{form: yyyy-mm-dd HH:MM}], marks: end, zone: Europe/Berlin, midnight: '24:00'}\n"
        "measures: {active_power: {field: P, unit: kW}}\n",
        "q.yaml",
    )
    source = PowerReadings((dialect,))
    content = b"t,P\n2024-03-31 03:00,1\n2024-03-31 03:15,2\n2024-03-31 24:00,3\n"
    rows = next(iter(source.read(content, source.claim("q.csv"))))
    assert rows.ts_event.to_pylist() == [
        datetime(2024, 3, 31, 1, 45),  # the clock jumps from 02:00 to 03:00
        datetime(2024, 3, 31, 3, 0),
        datetime(2024, 3, 31, 23, 45),
    ]
    assert rows.raw["utc_offset_min"].to_pylist() == [60, 120, 120]


def test_a_users_dialect_comes_before_ours():
    text = (
        "name: mine\npaths: ['**/household_power_consumption.txt']\nmeter_id: mine.HOME\ncountry: BE\ninterval_min: 1\n"
        f"header: {HEADER}\nseparator: ';'\ntime: {{fields: [Date, Time], forms: [{{form: d/m/yyyy HH:MM:SS}}]}}\n"
        "measures: {active_power: {field: Global_active_power, unit: kW}}\n"
    )
    claim = PowerReadings((parse_dialect(text, "mine.yaml"),)).claim(PATH)
    assert isinstance(claim, MeterClaim)
    assert (claim.subject, [dialect.name for dialect in claim.dialects]) == ("mine.HOME", ["mine"])
    assert claim.read_as != claim_file(PATH).read_as


@pytest.mark.parametrize(
    ("path", "rows", "whole", "days"),
    [
        pytest.param("uci-month/household_power_consumption.txt", 40_964, 40_963, 30, id="uci month"),
        pytest.param("uci-day/household_power_consumption.txt", 2_203, 2_203, 3, id="uci day"),
        pytest.param("half-year/household_power_consumption.zip", 260_640, 260_640, 181, id="half year"),
        pytest.param("other/AEP_hourly.csv", 121_273, 121_273, 5_054, id="pjm"),
        pytest.param("other/ETTh1.csv", 17_420, 17_420, 726, id="ett"),
        pytest.param("other/Steel_industry_data.csv", 35_040, 35_040, 365, id="steel plant"),
    ],
)
def test_real_files_are_read_whole(real_data, read, path, rows, whole, days):
    table = read((real_data / "household_power" / path).read_bytes(), path)
    starts = table["interval_start"]
    assert (table.num_rows, table.num_rows - starts.null_count) == (rows, whole)
    assert table["_source_line"].to_pylist() == list(range(2, rows + 2))
    # PJM's hours carry their ends: 00:00 of the file's 5,055th day is the last hour of the one before.
    assert len(set(table["event_date"].to_pylist())) == days
