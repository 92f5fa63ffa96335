"""Which datasets an evaluation was asked together with, and small pictures that are stored once.

`thumbnails` says which picture a sample has and where it stands in the order in which pictures are
kept where there is no room for all; `pictures` holds them, each once.

Revision ID: 0009
Revises: 0008
"""

import hashlib
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SUITE = "JSON: keys of the datasets asked as one suite, its own included; NULL if alone"

RUN = """runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash"""

EVALUATION = """evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash"""

OLD_EVALUATIONS = f"""
SELECT {RUN}, {EVALUATION}, evaluations.evaluator, evaluations.step,
    evaluations.evaluation_hash, evaluations.protocol, evaluations.subject_hash,
    evaluations.subject, evaluations.templates, label_sets.label_count,
    evaluations.sample_count, evaluations.skipped_count, evaluations.created_at,
    evaluations.test_set, evaluations.main_metric, evaluations.label_set_id
FROM evaluations
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN label_sets ON label_sets.id = evaluations.label_set_id
WHERE runs.status = 'done'
"""
EVALUATIONS = OLD_EVALUATIONS.replace(
    "evaluations.label_set_id\nFROM", "evaluations.label_set_id,\n    evaluations.suite\nFROM"
)

OLD_PICTURES = """
SELECT thumbnails.sample_id, samples.dataset_revision, samples.split,
    samples.stable_id AS sample, thumbnails.image
FROM thumbnails
LEFT JOIN samples ON samples.id = thumbnails.sample_id
"""
PICTURES = """
SELECT thumbnails.sample_id, samples.dataset_revision, samples.split,
    samples.stable_id AS sample, pictures.image
FROM thumbnails
LEFT JOIN pictures ON pictures.id = thumbnails.picture_id
LEFT JOIN samples ON samples.id = thumbnails.sample_id
"""

#: Comments that were not the whole truth, by table and column: before, and now.
COMMENTS = {
    ("sample_results", "rank"): (
        "best rank of a true label, from 1; NULL without a truth",
        "best rank of a true label, from 1; NULL if unknown",
    ),
    ("metric_declarations", "mean_of"): (
        "mean of what of sample_results: outcome, -outcome, rank<=K (share); NULL if none",
        "mean of what of sample_results: outcome, -outcome, rank<=K (share), median rank",
    ),
}

#: Pictures that are held in memory at once.
_AT_ONCE = 1000


def upgrade() -> None:
    _replace_views({"sample_pictures": None, "run_evaluations": None})
    op.add_column("evaluations", sa.Column("suite", sa.Text(), comment=SUITE))
    op.rename_table("thumbnails", "old_thumbnails")
    _free_names("old_thumbnails")
    pictures, thumbnails = _create_pictures(), _create_thumbnails()
    _copy(pictures, thumbnails)
    op.drop_table("old_thumbnails")
    _replace_views({"sample_pictures": PICTURES, "run_evaluations": EVALUATIONS})
    for place, (before, now) in COMMENTS.items():
        _comment(place, before, now)


def downgrade() -> None:
    """Every sample has its picture by itself again."""
    for place, (before, now) in COMMENTS.items():
        _comment(place, now, before)
    _replace_views({"sample_pictures": None, "run_evaluations": None})
    op.rename_table("thumbnails", "new_thumbnails")
    _free_names("new_thumbnails")
    _create_old_thumbnails()
    op.execute(
        "INSERT INTO thumbnails (sample_id, image) SELECT sample_id, image FROM new_thumbnails"
        " JOIN pictures ON pictures.id = new_thumbnails.picture_id"
    )
    op.drop_table("new_thumbnails")
    op.drop_table("pictures")
    op.drop_column("evaluations", "suite")
    _replace_views({"sample_pictures": OLD_PICTURES, "run_evaluations": OLD_EVALUATIONS})


def _comment(place: tuple[str, str], before: str, now: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column(*place, comment=now, existing_comment=before)


def _replace_views(queries: dict[str, str | None]) -> None:
    """Make views, or drop those that are None."""
    for name, query in queries.items():
        op.execute(f"CREATE VIEW {name} AS {query}" if query else f"DROP VIEW {name}")


def _free_names(table: str) -> None:
    """A new table of the old name wants the constraints' names, which a server keeps apart."""
    if op.get_bind().dialect.name == "postgresql":
        for kind in ("pk_thumbnails", "fk_thumbnails_sample_id"):
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {kind} TO old_{kind}")


def _create_pictures() -> sa.Table:
    return op.create_table(
        "pictures",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the picture"),
        sa.Column("hash", sa.Text(), nullable=False, comment="sha256 of the bytes"),
        sa.Column("size_bytes", sa.Integer(), nullable=False, comment="of the bytes"),
        sa.Column("image", sa.LargeBinary(), nullable=False, comment="a small picture, WebP bytes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
        sa.UniqueConstraint("hash", name=op.f("uq_pictures_hash")),
        comment="One row per small picture; several samples may have the same",
    )


def _create_thumbnails() -> sa.Table:
    return op.create_table(
        "thumbnails",
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the sample"),
        sa.Column(
            "place",
            sa.BigInteger(),
            nullable=False,
            comment="63 bits of the sha256 of its id: the lowest stay where there is no room",
        ),
        sa.Column("picture_id", sa.Integer(), nullable=False, comment="its small picture"),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["samples.id"], name=op.f("fk_thumbnails_sample_id")
        ),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_thumbnails_picture_id")
        ),
        sa.PrimaryKeyConstraint("sample_id", name=op.f("pk_thumbnails")),
        comment="One row per sample that has a small picture, so that reports need no dataset",
    )


def _create_old_thumbnails() -> None:
    op.create_table(
        "thumbnails",
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the sample"),
        sa.Column(
            "image",
            sa.LargeBinary(),
            nullable=False,
            comment="a small picture of it, WebP bytes",
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["samples.id"], name=op.f("fk_thumbnails_sample_id")
        ),
        sa.PrimaryKeyConstraint("sample_id", name=op.f("pk_thumbnails")),
        comment="One row per sample that has a small picture, so that reports need no dataset",
    )


def _copy(pictures: sa.Table, thumbnails: sa.Table) -> None:
    connection = op.get_bind()
    numbers: dict[str, int] = {}
    for rows in _old_rows(connection):
        for sample_id, stable_id, image in rows:
            image = bytes(image)
            found = hashlib.sha256(image).hexdigest()
            if found not in numbers:
                numbers[found] = len(numbers) + 1
                row = {"hash": found, "size_bytes": len(image), "image": image}
                connection.execute(pictures.insert().values(id=numbers[found], **row))
            digest = hashlib.sha256(stable_id.encode()).digest()
            row = {"sample_id": sample_id, "picture_id": numbers[found]}
            row["place"] = int.from_bytes(digest[:8], "big") >> 1
            connection.execute(thumbnails.insert().values(**row))
    if connection.dialect.name == "postgresql" and numbers:
        op.execute(f"SELECT setval('pictures_id_seq', {len(numbers)})")


def _old_rows(connection: sa.Connection) -> Iterator[Sequence[sa.Row]]:
    query = sa.text(
        "SELECT old_thumbnails.sample_id, samples.stable_id, old_thumbnails.image"
        " FROM old_thumbnails JOIN samples ON samples.id = old_thumbnails.sample_id"
        " WHERE old_thumbnails.sample_id > :last ORDER BY old_thumbnails.sample_id LIMIT :count"
    )
    last = -1
    while rows := connection.execute(query, {"last": last, "count": _AT_ONCE}).all():
        yield rows
        last = rows[-1][0]
