"""What the Dags share: operators over the jobs and the steps of training, schedules, notices."""
