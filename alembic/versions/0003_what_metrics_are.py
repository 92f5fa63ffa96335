"""What metrics are: direction, unit and more, as declared by whoever gave them.

Values of before get what the names of their metrics meant to reports until now.

Revision ID: 0003
Revises: 0002
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

DECLARED = "what the metric is; NULL where nobody has declared it"

RUN = """runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash"""

OLD_VIEWS = {
    "leaderboard": f"""
SELECT {RUN},
    evaluations.id AS evaluation_id, evaluations.name AS evaluation, evaluations.condition,
    evaluations.split, evaluations.dataset_revision, evaluations.protocol_hash,
    evaluations.evaluator, evaluations.sample_count, evaluations.skipped_count,
    metrics.name AS metric, metrics.value, metrics.value_kind, runs.finished_at,
    runs.origin, evaluations.test_set, evaluations.main_metric
FROM metrics
JOIN evaluations ON evaluations.id = metrics.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
WHERE runs.status = 'done'
""",
    "curves": f"""
SELECT {RUN},
    metrics.name AS metric, metrics.step, metrics.value, metrics.value_kind
FROM metrics
JOIN runs ON runs.id = metrics.run_id
WHERE metrics.evaluation_id IS NULL AND runs.status = 'done'
""",
}

VIEWS = {
    name: query.replace(
        "\nFROM metrics\n",
        """,
    metric_declarations.better, metric_declarations.unit, metrics.metric_declaration_id
FROM metrics
LEFT JOIN metric_declarations ON metric_declarations.id = metrics.metric_declaration_id
""",
    )
    for name, query in OLD_VIEWS.items()
}

# What reports made of names before metrics were declared.
METRIC_ORDER = (
    "mAP",
    "r2",
    "mse",
    "mae",
    "top1",
    "top5",
    "recall@1",
    "recall@5",
    "recall@10",
    "mean_recall@1",
    "mean_per_class_recall",
    "mean_rank",
    "median_rank",
    "mean_probability",
    "ece",
    "mAP_absent_as_zero",
    "mean_auroc",
)
SHARE = re.compile(r"top\d+(/.*)?|mAP.*|.*(recall|precision|accuracy|probability|f1|auc|auroc).*")
LOWER = re.compile(r"(.*[/_])?(loss|error|ece|mse|mae|(mean|median)_rank|perplexity)")
OUTCOMES = {
    "classification": ("top1",),
    "few_shot": ("top1",),
    "linear_probe": ("top1",),
    "missing_modality": ("top1", "mse"),
    "prompts": ("top1",),
    "regression": ("mse",),
    "retrieval": ("recall@1",),
    "zero_shot": ("top1",),
}
CUTOFF = re.compile(r"(?:top|recall@)(\d+)")
BOUND = re.compile(r"(.+)_(low|high)")
GAINS = (("classification", "top1"), ("regression", "mse"))
PROGRESS = ("lr", "grad_norm", "samples_per_second")

Row = dict[str, object]


def upgrade() -> None:
    declarations = _create_declarations()
    for name in OLD_VIEWS:
        op.execute(f"DROP VIEW {name}")
    for table in ("metrics", "label_metrics"):
        _add_reference(table)
    connection = op.get_bind()
    for row, condition, values in _declared(connection):
        text = json.dumps(row, sort_keys=True, ensure_ascii=False)
        hashed = {"hash": hashlib.sha256(text.encode()).hexdigest()}
        known = sa.select(declarations.c.id).where(declarations.c.hash == hashed["hash"])
        number = connection.scalar(known)
        if number is None:
            connection.execute(declarations.insert().values(**row, **hashed))
            number = connection.scalar(known)
        connection.execute(sa.text(condition), {**values, "number": number})
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    for table in ("metrics", "label_metrics"):
        op.drop_column(table, "metric_declaration_id")
    op.drop_table("metric_declarations")
    for name, query in OLD_VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def _create_declarations() -> sa.Table:
    return op.create_table(
        "metric_declarations",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the declaration"),
        sa.Column("hash", sa.Text(), nullable=False, comment="sha256 of all that it declares"),
        sa.Column(
            "name", sa.Text(), nullable=False, comment="the metric's name, as in metrics.name"
        ),
        sa.Column(
            "better", sa.Text(), comment="which values are better: higher, lower; NULL if neither"
        ),
        sa.Column(
            "unit",
            sa.Text(),
            nullable=False,
            comment="share (of 1), rank, nats, ...; empty if none",
        ),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=False,
            comment="place among the metrics of one evaluation; the first present one ranks it",
        ),
        sa.Column(
            "mean_of",
            sa.Text(),
            comment="mean of what of sample_results: outcome, -outcome, rank<=K (share); NULL if "
            "none",
        ),
        sa.Column(
            "low_of",
            sa.Text(),
            comment="the metric of whose 95% interval it is the low end, or NULL",
        ),
        sa.Column(
            "high_of",
            sa.Text(),
            comment="the metric of whose 95% interval it is the high end, or NULL",
        ),
        sa.Column(
            "board",
            sa.Text(),
            nullable=False,
            comment="which table of a report shows it: leaderboard or robustness",
        ),
        sa.Column(
            "has_gain",
            sa.Boolean(),
            nullable=False,
            comment="whether fusion gains are told of its outcomes",
        ),
        sa.CheckConstraint(
            "better IN ('higher', 'lower')", name=op.f("ck_metric_declarations_better")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_declarations")),
        sa.UniqueConstraint("hash", name=op.f("uq_metric_declarations_hash")),
        comment="One row per declaration of a metric, as whoever gave it made it with the results",
    )


def _add_reference(table: str) -> None:
    """A nullable reference; SQLite takes it only in the column's own words."""
    constraint = f"fk_{table}_metric_declaration_id"
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN metric_declaration_id INTEGER "
        f"CONSTRAINT {constraint} REFERENCES metric_declarations (id)"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(table, "metric_declaration_id", comment=DECLARED)


#: A declaration, the statement that gives it to values, and the statement's parameters.
Declared = tuple[Row, str, Mapping[str, object]]


def _declared(connection: sa.Connection) -> Iterator[Declared]:
    """The declaration of every name that there is, in an order that no database decides."""
    yield from _finals(connection)
    curves = "SELECT DISTINCT name FROM metrics WHERE evaluation_id IS NULL"
    for name in sorted(connection.scalars(sa.text(curves))):
        yield _curve(name), f"{_GIVE} WHERE name = :name AND evaluation_id IS NULL", {"name": name}
    of_labels = "SELECT DISTINCT name FROM label_metrics"
    for name in sorted(connection.scalars(sa.text(of_labels))):
        statement = f"{_GIVE.replace('metrics', 'label_metrics', 1)} WHERE name = :name"
        yield _of_label(name), statement, {"name": name}


_GIVE = "UPDATE metrics SET metric_declaration_id = :number"


def _finals(connection: sa.Connection) -> Iterator[Declared]:
    asked = """
        SELECT DISTINCT evaluations.evaluator, metrics.name FROM metrics
        JOIN evaluations ON evaluations.id = metrics.evaluation_id
    """
    condition = """
        WHERE name = :name
        AND evaluation_id IN (SELECT id FROM evaluations WHERE evaluator = :evaluator)
    """
    for evaluator, name in sorted(map(tuple, connection.execute(sa.text(asked)))):
        values = {"evaluator": evaluator, "name": name}
        yield _final(evaluator, name), f"{_GIVE} {condition}", values


def _row(name: str, **more: object) -> Row:
    """What a name meant by itself."""
    is_lower = LOWER.fullmatch(name) is not None
    is_share = not is_lower and SHARE.fullmatch(name) is not None
    row: Row = {
        "name": name,
        "better": "lower" if is_lower else "higher",
        "unit": "share" if is_share else "rank" if name.endswith("_rank") else "",
        "position": len(METRIC_ORDER),
        "mean_of": None,
        "low_of": None,
        "high_of": None,
        "board": "leaderboard",
        "has_gain": False,
    }
    return {**row, **more}


def _final(evaluator: str, name: str) -> Row:
    bound = BOUND.fullmatch(name) if evaluator == "few_shot" else None
    ends = {f"{bound[2]}_of": bound[1]} if bound else {}
    known = METRIC_ORDER.index(name) if name in METRIC_ORDER else len(METRIC_ORDER)
    board = "robustness" if evaluator == "missing_modality" else "leaderboard"
    return _row(
        name,
        position=known,
        mean_of=_mean_of(evaluator, name),
        board=board,
        has_gain=(evaluator, name) in GAINS,
        **ends,
    )


def _mean_of(evaluator: str, name: str) -> str | None:
    if name in OUTCOMES.get(evaluator, ()):
        return "-outcome" if name == "mse" else "outcome"
    cutoff = CUTOFF.fullmatch(name)
    return f"rank<={int(cutoff[1])}" if cutoff else None


def _curve(path: str) -> Row:
    """Scores on validation came first, then losses, others, and last how training went along."""
    stage, _, name = path.partition("/")
    if name in PROGRESS:
        better = "higher" if name == "samples_per_second" else None
        return _row(path, position=3, better=better, unit="")
    position = 0 if stage == "validation" else 2
    return _row(path, position=1 if name.endswith("loss") else position)


def _of_label(name: str) -> Row:
    if name == "support":
        return _row(name, position=0, better=None, unit="samples")
    return _row(name, position=1)
