"""Views of all that reports read, so that SELECT on the views alone is enough; an index; clusters.

The table `artifacts` becomes `run_artifacts`, for the view has its name. The index is for
`comparisons` by both run ids: without it SQLite looks through every evaluation of a protocol.
`samples.cluster` says what a sample was drawn together with.

Revision ID: 0007
Revises: 0006
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

RUN = """runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash"""

EVALUATION = """evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash"""

DECLARED = "metric_declarations ON metric_declarations.id = "

# What only one of two databases can say.
SQLITE = {
    "seconds": "round((julianday(runs.finished_at) - julianday(runs.started_at)) * 86400.0, 3)",
    "number": """CASE WHEN json_type(runs.summary, '$.{0}') IN ('integer', 'real')
        THEN CAST(json_extract(runs.summary, '$.{0}') AS INTEGER) END""",
    "code_revision": "json_extract(runs.provenance, '$.git.commit')",
    "data_revisions": """(SELECT group_concat(found.value, ', ') FROM (
        SELECT DISTINCT value FROM json_each(runs.provenance, '$.data')
        WHERE json_type(runs.provenance, '$.data') = 'object' ORDER BY value
    ) AS found)""",
}
POSTGRES = {
    "seconds": """CAST(round(
        CAST(extract(epoch FROM runs.finished_at - runs.started_at) AS numeric), 3
    ) AS double precision)""",
    "number": """CASE WHEN json_typeof(CAST(runs.summary AS json) -> '{0}') = 'number'
        THEN CAST(trunc(CAST(CAST(runs.summary AS json) ->> '{0}' AS numeric)) AS bigint) END""",
    "code_revision": "CAST(runs.provenance AS json) -> 'git' ->> 'commit'",
    "data_revisions": """(SELECT string_agg(
        found.value, ', ' ORDER BY found.value COLLATE "C"
    ) FROM (
        SELECT DISTINCT value FROM json_each_text(
            CASE WHEN json_typeof(CAST(runs.provenance AS json) -> 'data') = 'object'
            THEN CAST(runs.provenance AS json) -> 'data' ELSE '{{}}' END
        )
    ) AS found)""",
}

# Joined from the left, a table of which no column is asked for is not read.
VIEWS = {
    "all_runs": f"""
SELECT {RUN}, runs.status, runs.fence AS attempts, attempts.outcome, runs.error,
    {{seconds}} AS seconds,
    {{memory}} AS memory_bytes,
    {{parameters}} AS parameters,
    {{code_revision}} AS code_revision,
    {{data_revisions}} AS data_revisions,
    runs.created_at, runs.started_at, runs.finished_at, runs.worker, runs.lease_until,
    runs.train_hash, runs.origin, runs.spec_id, specs.name AS spec, specs.text AS spec_text,
    runs.resolved, runs.provenance, runs.summary
FROM runs
LEFT JOIN attempts ON attempts.run_id = runs.id AND attempts.fence = runs.fence
LEFT JOIN specs ON specs.id = runs.spec_id
""",
    "run_attempts": f"""
SELECT {RUN}, attempts.fence AS attempt, attempts.worker, attempts.started_at,
    attempts.finished_at, attempts.outcome, attempts.message, attempts.traceback
FROM attempts
JOIN runs ON runs.id = attempts.run_id
""",
    "run_evaluations": f"""
SELECT {RUN}, {EVALUATION}, evaluations.evaluator, evaluations.step,
    evaluations.evaluation_hash, evaluations.protocol, evaluations.subject_hash,
    evaluations.subject, evaluations.templates, label_sets.label_count,
    evaluations.sample_count, evaluations.skipped_count, evaluations.created_at,
    evaluations.test_set, evaluations.main_metric, evaluations.label_set_id
FROM evaluations
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN label_sets ON label_sets.id = evaluations.label_set_id
WHERE runs.status = 'done'
""",
    "declared_metrics": """
SELECT metric_declarations.id AS metric_declaration_id, metric_declarations.name AS metric,
    metric_declarations.better, metric_declarations.unit, metric_declarations.position,
    metric_declarations.mean_of, metric_declarations.low_of, metric_declarations.high_of,
    metric_declarations.board, metric_declarations.has_gain
FROM metric_declarations
""",
    "live_curves": f"""
SELECT {RUN}, runs.status, metrics.name AS metric, metrics.step, metrics.value,
    metrics.value_kind, metric_declarations.better, metric_declarations.unit,
    metrics.metric_declaration_id
FROM metrics
JOIN runs ON runs.id = metrics.run_id
LEFT JOIN {DECLARED} metrics.metric_declaration_id
WHERE metrics.evaluation_id IS NULL
""",
    "label_results": f"""
SELECT {RUN}, {EVALUATION}, labels.text AS label, labels.position,
    label_metrics.name AS metric, label_metrics.value, metric_declarations.better,
    metric_declarations.unit, label_metrics.metric_declaration_id
FROM label_metrics
JOIN evaluations ON evaluations.id = label_metrics.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN labels ON labels.id = label_metrics.label_id
LEFT JOIN {DECLARED} label_metrics.metric_declaration_id
WHERE runs.status = 'done'
""",
    "sample_outcomes": f"""
SELECT {RUN}, {EVALUATION}, sample_results.sample_id, samples.stable_id AS sample,
    sample_results.rank, sample_results.probability, labels.text AS top_label,
    sample_results.top_probability, sample_results.has_tie, sample_results.outcome, samples.cluster
FROM sample_results
JOIN evaluations ON evaluations.id = sample_results.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN samples ON samples.id = sample_results.sample_id
LEFT JOIN labels ON labels.id = sample_results.top_label_id
WHERE runs.status = 'done'
""",
    "true_labels": f"""
SELECT {RUN}, {EVALUATION}, sample_truths.sample_id, samples.stable_id AS sample,
    labels.text AS label, labels.position
FROM sample_truths
JOIN evaluations ON evaluations.id = sample_truths.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN samples ON samples.id = sample_truths.sample_id
LEFT JOIN labels ON labels.id = sample_truths.label_id
WHERE runs.status = 'done'
""",
    "sample_pictures": """
SELECT thumbnails.sample_id, samples.dataset_revision, samples.split,
    samples.stable_id AS sample, thumbnails.image
FROM thumbnails
LEFT JOIN samples ON samples.id = thumbnails.sample_id
""",
    "artifacts": f"""
SELECT run_artifacts.id, {RUN}, runs.status, run_artifacts.evaluation_id,
    run_artifacts.sample_id, run_artifacts.role, run_artifacts.path, run_artifacts.sha256,
    run_artifacts.size_bytes
FROM run_artifacts
JOIN runs ON runs.id = run_artifacts.run_id
""",
    "whole_cells": """
SELECT cells.id AS cell_id, cells.run_id, cells.experiment, cells.label AS cell, cells.axes,
    cells.seed, cells.position, cells.overrides, cells.budget, cells.hash, cells.resolved,
    cells.created_at, cells.submitted_at, cells.spec_id, specs.name AS spec,
    specs.text AS spec_text, specs.resolved AS spec_resolved, specs.hash AS spec_hash,
    specs.created_at AS spec_created_at
FROM cells
JOIN specs ON specs.id = cells.spec_id
""",
    "queue_places": """
SELECT queue.id AS place, queue.cell_id, queue.experiment, queue.status, queue.priority,
    queue.waits_for, queue.asked_hash, queue.rerun, queue.run_id, queue.fence AS claims,
    queue.worker, queue.lease_until, queue.deaths, queue.death, queue.reason,
    queue.created_at, queue.ended_at
FROM queue
""",
    "schema_revision": """
SELECT mmlab_alembic_version.version_num AS revision FROM mmlab_alembic_version
""",
}

OLD_RANKINGS = f"""
SELECT {RUN}, {EVALUATION},
    samples.stable_id AS sample, rankings.rank, labels.text AS label, rankings.score,
    sample_truths.label_id IS NOT NULL AS is_truth
FROM rankings
JOIN evaluations ON evaluations.id = rankings.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = rankings.sample_id
JOIN labels ON labels.id = rankings.label_id
LEFT JOIN sample_truths ON sample_truths.evaluation_id = rankings.evaluation_id
    AND sample_truths.sample_id = rankings.sample_id
    AND sample_truths.label_id = rankings.label_id
WHERE runs.status = 'done'
"""
RANKINGS = OLD_RANKINGS.replace("AS is_truth\n", "AS is_truth,\n    rankings.sample_id\n")

INDEX = "ix_evaluations_run_id_protocol_hash_condition"


def upgrade() -> None:
    _move_artifacts("artifacts", "run_artifacts")
    op.create_index(op.f(INDEX), "evaluations", ["run_id", "protocol_hash", "condition"])
    comment = "what it was drawn together with (a person); NULL: alone"
    op.add_column("samples", sa.Column("cluster", sa.Text(), comment=comment))
    _replace_rankings(RANKINGS)
    words = _words()
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query.format(**words)}")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    _replace_rankings(OLD_RANKINGS)
    op.drop_column("samples", "cluster")
    op.drop_index(op.f(INDEX), "evaluations")
    _move_artifacts("run_artifacts", "artifacts")


def _words() -> dict[str, str]:
    words = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    number = words["number"]
    numbers = {"memory": "peak_memory_bytes", "parameters": "parameters"}
    return {
        **{name: text.replace("{{}}", "{}") for name, text in words.items()},
        **{name: number.format(key) for name, key in numbers.items()},
    }


def _replace_rankings(query: str) -> None:
    op.execute("DROP VIEW label_rankings")
    op.execute(f"CREATE VIEW label_rankings AS {query}")


def _move_artifacts(old: str, new: str) -> None:
    """Into a table whose constraints are called as it is; SQLite cannot rename them."""
    op.create_table(
        new,
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the artifact"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run that left it"),
        sa.Column("evaluation_id", sa.Integer(), comment="the evaluation it belongs to, if one"),
        sa.Column("sample_id", sa.Integer(), comment="the sample it belongs to, if one"),
        sa.Column("role", sa.Text(), nullable=False, comment="what it is for: best, final, ..."),
        sa.Column("path", sa.Text(), nullable=False, comment="path relative to the runs folder"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of the file's bytes"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="of the file"),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{new}_{column}"))
            for column, target in (
                ("evaluation_id", "evaluations.id"),
                ("run_id", "runs.id"),
                ("sample_id", "samples.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{new}")),
        sa.UniqueConstraint("run_id", "path", name=op.f(f"uq_{new}_run_id_path")),
        comment="One row per file that a run left",
    )
    columns = "id, run_id, evaluation_id, sample_id, role, path, sha256, size_bytes"
    op.execute(f"INSERT INTO {new} ({columns}) SELECT {columns} FROM {old}")
    if op.get_bind().dialect.name == "postgresql":
        highest = f"SELECT max(id) FROM {new}"
        op.execute(
            f"SELECT setval('{new}_id_seq', coalesce(({highest}), 1), ({highest}) IS NOT NULL)"
        )
    op.drop_table(old)
