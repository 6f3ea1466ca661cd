"""Which jobs of a domain's chain a run is of: all of them, or those of some layers and some tables."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.errors import BadInputError
from lakehouse.tables import LAYERS
from spark_jobs.engine.job import TableJob


@dataclass(frozen=True)
class Choice:
    """What the caller chose; nothing chosen means everything. `names` are of jobs or of tables that they write."""

    layers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def pick(self, chain: Sequence[TableJob]) -> tuple[TableJob, ...]:
        """Return the chosen jobs of a chain, in its order.

        Raises:
            BadInputError: a name is none of the chain's, whatever its layer.
        """
        known: dict[str, set[str]] = {}
        for job in chain:
            for name in (job.name, *(table.identifier for table in job.tables)):
                known.setdefault(name, set()).add(job.name)
        unknown = [name for name in self.names if name not in known]
        if unknown:
            near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise BadInputError(f"no job or table {unknown[0]!r} in the chain; {hint}")
        wanted = {job for name in self.names for job in known[name]} or {job.name for job in chain}
        return tuple(job for job in chain if job.name in wanted and job.table.layer in (self.layers or LAYERS))
