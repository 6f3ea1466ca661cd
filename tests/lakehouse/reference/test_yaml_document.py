"""YAML read strictly: which value stands in which line, and everything that is refused, all at once."""

from __future__ import annotations

import math

import pytest

from lakehouse.errors import BadInputError
from lakehouse.reference import yaml_document
from lakehouse.reference.yaml_document import MAX_DEPTH, MAX_SIZE, parse_value, parse_yaml, read_yaml


def refusal(content) -> str:
    """Return what is said of a text that is refused."""
    with pytest.raises(BadInputError) as refused:
        parse_yaml(content, "f.yaml").refuse([])
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_lines_are_those_of_keys_and_items():
    document = parse_yaml("a: 1\nb:\n  - x\n  - c: 2\n", "f.yaml")
    assert document.values == {"a": 1, "b": ["x", {"c": 2}]}
    places = [("a",), ("b", 1), ("b", 1, "c"), ("b", 7), ("z",)]
    assert [document.where(place) for place in places] == [f"f.yaml:{n}" for n in (1, 4, 4, 2, 1)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("63", 63),
        ("-7", -7),
        ("0.5", 0.5),
        ("1.", 1.0),
        ("1e-3", 1e-3),  # a text for YAML 1.1
        ("-.inf", -math.inf),
        ("true", True),
        ("~", None),
        ("null", None),
        ("", None),
        ("[1, 24]", [1, 24]),
        ("{a: b}", {"a": "b"}),
        ("'63'", "63"),
        ('"true"', "true"),
        ("no", "no"),  # the country
        ("010", "010"),  # eight or ten?
        ("1_000", "1_000"),
        ("12:30", "12:30"),  # 750 for YAML 1.1
        ("2024-08-08", "2024-08-08"),
        ("1e999", "1e999"),  # no float holds it
        ("9" * 30, "9" * 30),
        ("0x1f", "0x1f"),
    ],
)
def test_only_plain_constants_and_decimal_numbers_are_not_texts(text, value):
    found = parse_value(text)
    assert (found, type(found)) == (value, type(value))
    assert parse_yaml(f"a: {text}", "f.yaml").values == {"a": value}


def test_not_a_number_is_read_as_one():
    assert math.isnan(parse_value(".nan"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("- a", "f.yaml:1: expected a mapping of keys to values", id="list"),
        pytest.param("", "f.yaml:1: expected a mapping of keys to values", id="empty"),
        pytest.param("a: [1,\n2\nb: c", "f.yaml:3: expected YAML, found an error: did not find", id="open"),
        pytest.param("a: 1\n1: b", "f.yaml:2: expected a name as key, found 1", id="number as key"),
        pytest.param("? [a]\n: b", "f.yaml:1: expected a name as key, found ['a']", id="list as key"),
        pytest.param("a: 1\nb: 2\na: 3", "f.yaml:3: a is given twice, first in line 1", id="twice"),
        pytest.param("a:\n  b: 1\n  b: 1", "f.yaml:3: b is given twice, first in line 2", id="twice below"),
        pytest.param("a: 1\na: {b: 1, b: 2}", "f.yaml:2: a is given twice, first in line 1; f.yaml:2: b is", id="both"),
        pytest.param("a: &x [1]\nb: *x", "f.yaml:2: *x: aliases are not read; write the value itself", id="alias"),
        pytest.param("a: !!python/name:os.system x", "f.yaml:1: !!python/name:os.system: tags are not read", id="code"),
        pytest.param("a: !!str 1", "f.yaml:1: !!str: tags are not read", id="tag"),
        pytest.param("a: !own {b: 1}", "f.yaml:1: !own: tags are not read", id="own tag"),
        pytest.param("a: 1\n---\nb: 2", "f.yaml:2: expected one document, found a second one", id="two documents"),
        pytest.param(b"a: \xff", "f.yaml: expected UTF-8, byte 3 is not", id="not UTF-8"),
        pytest.param("a: \x00", "f.yaml:1: expected YAML, found an error: control characters", id="control character"),
        pytest.param("a: " + "x" * MAX_SIZE, f"f.yaml: expected at most {MAX_SIZE:,} bytes, found more", id="large"),
        pytest.param("a: " + "[" * 500 + "]" * 500, f"f.yaml:1: expected at most {MAX_DEPTH} levels", id="deep"),
        pytest.param("a: 1\n" + "a: {" * 500 + "}" * 500, f"expected at most {MAX_DEPTH} levels", id="deep in a twin"),
    ],
)
def test_what_hides_a_mistake_or_costs_without_limit_is_refused(content, message):
    assert message in refusal(content)


def test_every_fault_of_a_text_is_named_in_the_order_of_lines():
    assert refusal("a: !!int 1\nb: *x\nc: 1\nc: 2\n7: d\n") == (
        "f.yaml:1: !!int: tags are not read; write plain values; "
        "f.yaml:2: *x: aliases are not read; write the value itself; "
        "f.yaml:4: c is given twice, first in line 3; "
        "f.yaml:5: expected a name as key, found 7"
    )


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert refusal("\n".join(lines)).startswith("f.yaml:2: *a0: aliases are not read")


def test_the_parser_without_c_reads_the_same(monkeypatch):
    text = "a: !!int 1\nb: [1, 'x', {c: ~}]\nd: *x\nb: 2\ne: 0.5\n"
    fast = parse_yaml(text, "f.yaml")
    monkeypatch.setattr(yaml_document, "LOADER", yaml_document.yaml.SafeLoader)
    assert parse_yaml(text, "f.yaml") == fast


def test_parse_value_refuses_what_a_file_may_not_have():
    for text in ("[1", "!!int 1", "*x", "{a: 1, a: 2}", "1\n--- 2"):
        with pytest.raises(BadInputError, match="expected a value as YAML writes it, found "):
            parse_value(text)


def test_read_yaml_reads_no_more_than_a_declaration_has(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.yaml: No such file or directory"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (10 * MAX_SIZE))
    with pytest.raises(BadInputError, match=r"^large\.yaml: expected at most 262,144 bytes, found more$"):
        read_yaml(tmp_path / "large.yaml")
