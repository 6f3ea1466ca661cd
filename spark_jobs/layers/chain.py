"""The chain of a domain's jobs in one session: bronze by delivery, then each table from the slices before it.

Jobs are found, not registered: `JOB` of each module in the domain's folder, or what its function `jobs` returns for a
request. Their order follows from what they read and write. Jobs that read no table of the domain, such as those that
publish forecasts, are not part of the chain.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from graphlib import TopologicalSorter
from importlib import import_module

from lakehouse.errors import PASSING, BadInputError, ExitCode, LakehouseError, worst_code
from lakehouse.slices import Slice, describe_slices, in_order
from lakehouse.tables import LAYERS
from spark_jobs.engine.job import Request, TableJob
from spark_jobs.engine.manifest import touched_slices
from spark_jobs.engine.run import find_due, run
from spark_jobs.layers.choice import Choice
from spark_jobs.layers.command_line import tell

EVERYTHING = Choice()


def find_jobs(domain: str, request: Request | None = None) -> tuple[TableJob, ...]:
    """Return every job of a domain; those that depend on a request are left out without one."""
    package = import_module(f"spark_jobs.{domain}")
    jobs: list[TableJob] = []
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = import_module(found.name)
        if hasattr(module, "JOB"):
            jobs.append(module.JOB)
        if request is not None and hasattr(module, "jobs"):
            jobs += module.jobs(request)
    return tuple(jobs)


def order_chain(jobs: Sequence[TableJob]) -> tuple[TableJob, ...]:
    """Return the jobs that make tables of the domain from its deliveries, each after those whose tables it reads.

    Raises:
        BadInputError: two jobs write one table, or jobs read each other's tables in a circle.
    """
    writers: dict[str, TableJob] = {}
    for job in jobs:
        if writers.setdefault(job.table.identifier, job) is not job:
            both = f"{writers[job.table.identifier].name} and {job.name}"
            raise BadInputError(f"expected one job for {job.table.identifier}, found {both}")
    by_name = {job.name: job for job in jobs}
    writes = {table.identifier: job.name for job in jobs for table in job.tables if job.table.layer != "bronze"}
    writes |= {job.table.identifier: job.name for job in jobs}
    needs: dict[str, set[str]] = {}
    for job in jobs:
        needed = {writes[table.identifier] for table in job.reads if table.identifier in writes} - {job.name}
        if needed or job.table.layer == "bronze":
            needs[job.name] = needed
    for job in jobs:  # a table of what was delivered at all, made from the manifest
        if job.name not in needs and job.reads:
            needs[job.name] = {other.name for other in jobs if other.table.layer == "bronze"}
    order = {layer: number for number, layer in enumerate(LAYERS)}
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    chain: list[TableJob] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda name: (order[by_name[name].table.layer], name))
        chain += [by_name[name] for name in ready]
        sorter.done(*ready)
    return tuple(sorted(chain, key=lambda job: order[job.table.layer]))


def run_domain(domain: str, request: Request, choice: Choice = EVERYTHING) -> ExitCode:
    """Run the chosen jobs of a domain's chain and return the worst exit code.

    If a job's input is bad or its audit fails, the jobs that read its table are left out and the others go on; any
    other failure ends the chain.
    """
    codes: list[ExitCode] = []
    failed: dict[str, str] = {}
    chain = order_chain(find_jobs(domain, request))
    jobs = choice.pick(chain)
    slices, is_by_delivery = request.slices, True
    for number, job in enumerate(jobs, start=1):
        if is_by_delivery and job.table.layer != "bronze":
            is_by_delivery = False
            slices = event_slices(chain, request)
        missing = [failed[table.identifier] for table in job.reads if table.identifier in failed]
        if missing:
            print(f"{job.name}: left out, since {missing[0]} failed", flush=True)
            failed[job.table.identifier] = missing[0]
            continue
        step = f"job {number} of {len(jobs)}"
        print(f"{job.name}: begins ({step})", flush=True)
        outcome = run(job, replace(request, slices=slices, step=step))
        tell(outcome)
        codes.append(outcome.exit_code)
        if outcome.exit_code in (ExitCode.BAD_INPUT, ExitCode.AUDIT_FAILED):
            failed[job.table.identifier] = job.name
        elif outcome.exit_code not in PASSING:
            break
        if slices is not None and not is_by_delivery:
            slices = in_order((*slices, *outcome.slices))  # a carried state may have reached later days
    return worst_code(codes)


def event_slices(chain: Sequence[TableJob], request: Request) -> tuple[Slice, ...] | None:
    """Return the slices of silver and gold that the deliveries asked for touch; None if all are asked for."""
    if request.slices is None:
        return None
    delivered = [job.table.name for job in chain if job.table.layer == "bronze"]
    return touched_slices(request.settings, request.slices, delivered)


def plan_domain(domain: str, request: Request, choice: Choice = EVERYTHING) -> dict[str, tuple[str, ...]]:
    """Return, for each layer that has work, a line per job that is due; needs no Spark.

    What a later layer has to do follows from what an earlier one publishes, so that each layer after the first with
    work has work, too. A job whose plan fails has work: its run says and records why.
    """
    chain = order_chain(find_jobs(domain, request))
    jobs = choice.pick(chain)
    work: dict[str, tuple[str, ...]] = {}
    for layer in LAYERS:
        of_layer = [job for job in jobs if job.table.layer == layer]
        if work and of_layer:
            work[layer] = tuple(f"{job.name}: follows {next(iter(work))}" for job in of_layer)
            continue
        lines = []
        for job in of_layer:
            slices = request.slices if layer == "bronze" else event_slices(chain, request)
            try:
                due = find_due(job, replace(request, slices=slices))[2]
            except LakehouseError as error:
                lines.append(f"{job.name}: can't be planned ({error})")
                continue
            if due:
                lines.append(f"{job.name}: due {describe_slices(due)}")
        if lines:
            work[layer] = tuple(lines)
    return work
