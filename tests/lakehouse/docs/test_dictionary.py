from lakehouse.docs.dictionary import PAGE, render, render_table
from lakehouse.tables import Column, Table


def test_committed_page_is_what_the_declarations_say():
    assert PAGE.read_text(encoding="utf-8") == render(), "docs/data-dictionary.md is stale; run: make docs"


def test_render_table_states_key_ranges_units_and_nulls():
    table = Table(
        layer="gold",
        name="things",
        doc="Things.",
        columns=(
            Column("id", "string", "Name of the thing."),
            Column("weight_kg", "double", "How heavy | how light.", unit="kg", minimum=0, exclusive_minimum=True),
            Column("share_pct", "double", "Share.", nullable=True, minimum=0, maximum=100),
            Column("kind", "string", "What it is.", allowed=("a", "b")),
        ),
        primary_key=("id",),
        partitioned_by=("kind",),
        replaced_by="kind",
        may_be_empty=True,
    )
    assert render_table(table).splitlines() == [
        "",
        "## gold.things",
        "",
        "Things.",
        "",
        "- Key: `id`",
        "- Partitioned by: `kind`",
        "- A run replaces: whole values of `kind`",
        "- May be empty: yes",
        "",
        "| Column | Type | Null | Range | Unit | Description |",
        "|---|---|---|---|---|---|",
        "| `id` | `string` | no |  |  | Name of the thing. |",
        "| `weight_kg` | `double` | no | > 0 | kg | How heavy \\| how light. |",
        "| `share_pct` | `double` | yes | >= 0, <= 100 |  | Share. |",
        "| `kind` | `string` | no | `a`, `b` |  | What it is. |",
    ]
