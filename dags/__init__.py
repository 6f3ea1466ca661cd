"""Airflow: order, schedule, retries and pools of the jobs; what the jobs do is theirs. A Dag is called as its file."""
