"""The chain of a domain: which jobs a run is of, in which order, what a failure stops, and what a plan finds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from types import SimpleNamespace

import pytest

from lakehouse.errors import BadInputError, ExitCode, UnavailableError
from lakehouse.tables import Table
from spark_jobs.layers import chain
from spark_jobs.layers.chain import plan_domain, run_domain
from spark_jobs.layers.choice import Choice

DAY, EVENT_DAY = date(2024, 8, 8), date(2024, 8, 7)
TRADES, QUOTES = Table("bronze", "trades", "", (), ()), Table("bronze", "quotes", "", (), ())
CLEAN_TRADES, REJECTED = Table("silver", "trades", "", (), ()), Table("silver", "trades_rejected", "", (), ())
CLEAN_QUOTES = Table("silver", "quotes", "", (), ())
BARS, SPREADS = Table("gold", "bars", "", (), ()), Table("gold", "spreads", "", (), ())


@dataclass(frozen=True)
class Asked:
    slices: tuple | None = (DAY,)
    step: str = ""
    settings: None = None


def job(name: str, *tables: Table, reads: tuple[Table, ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(name=f"d.{name}", table=tables[0], tables=tables, reads=reads)


JOBS = (
    job("bars", BARS, reads=(CLEAN_TRADES,)),
    job("bronze_trades", TRADES),
    job("bronze_quotes", QUOTES),
    job("spreads", SPREADS, reads=(CLEAN_QUOTES,)),
    job("silver_trades", CLEAN_TRADES, REJECTED, reads=(TRADES,)),
    job("silver_quotes", CLEAN_QUOTES, reads=(QUOTES,)),
)
ORDER = ["bronze_quotes", "bronze_trades", "silver_quotes", "silver_trades", "bars", "spreads"]


@pytest.fixture(autouse=True)
def jobs(monkeypatch):
    monkeypatch.setattr(chain, "find_jobs", lambda domain, request: JOBS)
    monkeypatch.setattr(chain, "touched_slices", lambda settings, slices, delivered: (EVENT_DAY,))


@pytest.fixture
def run_chain(monkeypatch, capsys):
    """run_chain(codes, choice) runs the chain, each job ending with its code, else 0; returns code, requests, lines."""

    def install(codes=(), choice=chain.EVERYTHING, asked=Asked()):
        requests = {}

        def run(each, request):
            name = each.name.removeprefix("d.")
            requests[name] = request
            return SimpleNamespace(job=each, exit_code=ExitCode(dict(codes).get(name, 0)), message="said", slices=())

        monkeypatch.setattr(chain, "run", run)
        code = run_domain("d", asked, choice)
        return code, requests, capsys.readouterr().out.splitlines()

    return install


def test_each_table_is_a_step_with_its_begin_and_its_end(run_chain):
    code, requests, lines = run_chain()
    assert (code, [*requests]) == (0, ORDER)
    assert lines[:3] == [
        "d.bronze_quotes: begins (job 1 of 6)",
        "d.bronze_quotes: said",
        "d.bronze_trades: begins (job 2 of 6)",
    ]
    assert len(lines) == 12
    assert requests["bars"].step == "job 5 of 6"


@pytest.mark.parametrize("layers", [(), ("gold",), ("silver", "gold")])
def test_silver_and_gold_get_the_event_days_that_the_deliveries_touch(run_chain, layers):
    _, requests, _ = run_chain(choice=Choice(layers))
    expected = {name: (DAY,) if name.startswith("bronze") else (EVENT_DAY,) for name in requests}
    assert {name: request.slices for name, request in requests.items()} == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param(Choice(("silver",)), ["silver_quotes", "silver_trades"], id="a layer"),
        pytest.param(Choice((), ("d.bars",)), ["bars"], id="a job"),
        pytest.param(Choice((), ("silver.trades_rejected", "gold.bars")), ["silver_trades", "bars"], id="tables"),
        pytest.param(Choice(("gold",), ("silver.trades",)), [], id="a table of another layer"),
    ],
)
def test_chosen_jobs_are_run_in_the_chains_order(run_chain, choice, expected):
    code, requests, _ = run_chain(choice=choice)
    assert (code, [*requests]) == (0, expected)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("silver.trade", "did you mean silver.trades?"), ("nothing", "there are bronze.quotes, bronze.trades, ")],
)
def test_an_unknown_name_is_refused_with_a_suggestion(run_chain, name, hint):
    with pytest.raises(BadInputError) as refused:
        run_chain(choice=Choice(("bronze",), (name,)))
    assert str(refused.value).startswith(f"no job or table {name!r} in the chain; {hint}")


@pytest.mark.parametrize("failure", [2, 3])
def test_a_job_that_needs_a_person_stops_what_reads_its_table_and_nothing_else(run_chain, failure):
    code, requests, lines = run_chain({"bronze_quotes": failure})
    assert (code, [*requests]) == (failure, ["bronze_quotes", "bronze_trades", "silver_trades", "bars"])
    assert "d.spreads: left out, since d.bronze_quotes failed" in lines


@pytest.mark.parametrize("failure", [1, 4, 75])
def test_any_other_failure_ends_the_chain(run_chain, failure):
    code, requests, _ = run_chain({"bronze_trades": failure, "bronze_quotes": 3})
    assert (code, [*requests]) == (failure, ["bronze_quotes", "bronze_trades"])


def test_what_was_set_aside_stops_nothing_and_is_in_the_code(run_chain):
    code, requests, _ = run_chain({"silver_trades": 5})
    assert (code, [*requests]) == (5, ORDER)


@pytest.fixture
def plan_chain(monkeypatch):
    """plan_chain(due, choice) plans the chain; `due` holds the due slices of jobs, or the error of a plan."""

    def install(due=(), choice=chain.EVERYTHING):
        def find_due(each, request):
            found = dict(due).get(each.name.removeprefix("d."), ())
            if isinstance(found, Exception):
                raise found
            return None, {}, tuple(day for day in found if day in request.slices)

        monkeypatch.setattr(chain, "find_due", find_due)
        return plan_domain("d", Asked(), choice)

    return install


def test_plan_finds_no_work_where_nothing_is_due(plan_chain):
    assert plan_chain({"bronze_trades": [EVENT_DAY], "bars": [DAY]}) == {}  # days that were not asked for


def test_plan_of_a_layer_with_work_gives_work_to_the_later_ones(plan_chain):
    work = plan_chain({"silver_trades": [EVENT_DAY]})
    assert work == {
        "silver": ("d.silver_trades: due 2024-08-07",),
        "gold": ("d.bars: follows silver", "d.spreads: follows silver"),
    }


def test_plan_of_chosen_jobs_is_of_their_layers_alone(plan_chain):
    assert [*plan_chain({"bronze_trades": [DAY]}, Choice((), ("bronze.trades", "gold.bars")))] == ["bronze", "gold"]
    assert plan_chain({"bronze_trades": [DAY]}, Choice((), ("gold.bars",))) == {}


def test_plan_leaves_it_to_the_run_to_report_what_cannot_be_planned(plan_chain):
    work = plan_chain({"spreads": UnavailableError("the store is away")})
    assert work == {"gold": ("d.spreads: can't be planned (the store is away)",)}
