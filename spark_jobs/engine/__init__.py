"""How any table changes: job, run, stage, audit, publish."""
