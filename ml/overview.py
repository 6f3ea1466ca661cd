"""What models there are, for a person: configurations, versions, aliases, verdicts."""

from __future__ import annotations

from ml.config import config_files
from ml.registry import COMPLETE
from ml.tracking import TAG, Context, mlflow_errors


def describe_models(context: Context) -> list[str]:
    """Return one line per configured model and one per version of it, newest first."""
    lines = []
    with mlflow_errors():
        registered = {model.name: dict(model.aliases) for model in context.client.search_registered_models()}
        for name in sorted({*config_files(), *registered}):
            lines.append(name if name in config_files() else f"{name} (no configuration)")
            aliases: dict[str, list[str]] = {}
            for alias, version in registered.get(name, {}).items():
                aliases.setdefault(str(version), []).append(alias)
            versions = context.client.search_model_versions(f"name='{name}'") if name in registered else []
            for version in sorted(versions, key=lambda each: -int(each.version)):
                words = ", ".join(sorted(aliases.get(str(version.version), []))) or "-"
                state = "" if version.tags.get(COMPLETE) == "true" else " (incomplete)"
                verdict = version.tags.get(f"{TAG}gate_verdict", "")
                lines.append(f"  {version.version}{state}  {words}  run {version.run_id}  {verdict}")
            if not versions:
                lines.append("  no version yet: lakehouse train " + name)
    return lines
