"""Boxes that were found in pictures and those that are there, and how large pictures are.

Revision ID: 0010
Revises: 0009
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

RUN = """runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash"""

EVALUATION = """evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash"""

DETECTIONS = f"""
SELECT {RUN}, {EVALUATION}, detections.sample_id, samples.stable_id AS sample,
    detections.rank, labels.text AS label, detections.x0, detections.y0, detections.x1,
    detections.y1, detections.score, detections.truth,
    true_boxes.number IS NOT NULL AND NOT true_boxes.is_crowd AND NOT true_boxes.is_difficult
        AS is_right,
    COALESCE(true_boxes.is_crowd OR true_boxes.is_difficult, false) AS is_ignored
FROM detections
JOIN evaluations ON evaluations.id = detections.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = detections.sample_id
JOIN labels ON labels.id = detections.label_id
LEFT JOIN true_boxes ON true_boxes.evaluation_id = detections.evaluation_id
    AND true_boxes.sample_id = detections.sample_id
    AND true_boxes.number = detections.truth
WHERE runs.status = 'done'
"""

TRUE_BOXES = f"""
SELECT {RUN}, {EVALUATION}, true_boxes.sample_id, samples.stable_id AS sample,
    true_boxes.number, labels.text AS label, true_boxes.x0, true_boxes.y0, true_boxes.x1,
    true_boxes.y1, true_boxes.area, true_boxes.is_crowd, true_boxes.is_difficult
FROM true_boxes
JOIN evaluations ON evaluations.id = true_boxes.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = true_boxes.sample_id
JOIN labels ON labels.id = true_boxes.label_id
WHERE runs.status = 'done'
"""

OLD_PICTURES = """
SELECT thumbnails.sample_id, samples.dataset_revision, samples.split,
    samples.stable_id AS sample, pictures.image
FROM thumbnails
LEFT JOIN pictures ON pictures.id = thumbnails.picture_id
LEFT JOIN samples ON samples.id = thumbnails.sample_id
"""
PICTURES = OLD_PICTURES.replace(
    "pictures.image\n", "pictures.image,\n    thumbnails.width, thumbnails.height\n"
)


def upgrade() -> None:
    for side in ("width", "height"):
        comment = "of the whole picture in pixels; NULL if unknown"
        op.add_column("thumbnails", sa.Column(side, sa.Integer(), comment=comment))
    _replace_pictures(PICTURES)
    _create_detections()
    _create_true_boxes()
    op.execute(f"CREATE VIEW box_detections AS {DETECTIONS}")
    op.execute(f"CREATE VIEW box_truths AS {TRUE_BOXES}")


def downgrade() -> None:
    """What was found in pictures is lost."""
    for view in ("box_detections", "box_truths"):
        op.execute(f"DROP VIEW {view}")
    op.drop_table("true_boxes")
    op.drop_table("detections")
    op.execute("DROP VIEW sample_pictures")
    for side in ("width", "height"):
        op.drop_column("thumbnails", side)
    op.execute(f"CREATE VIEW sample_pictures AS {OLD_PICTURES}")


def _replace_pictures(query: str) -> None:
    op.execute("DROP VIEW sample_pictures")
    op.execute(f"CREATE VIEW sample_pictures AS {query}")


def _box() -> list[sa.Column[float]]:
    ends = {"x0": "left", "y0": "upper", "x1": "right", "y1": "lower"}
    return [
        sa.Column(name, sa.Double(), nullable=False, comment=f"{side} end of the box in pixels")
        for name, side in ends.items()
    ]


def _create_detections() -> None:
    op.create_table(
        "detections",
        sa.Column(
            "evaluation_id",
            sa.Integer(),
            nullable=False,
            comment="the evaluation: evaluations.id",
        ),
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the picture: samples.id"),
        sa.Column(
            "rank", sa.Integer(), nullable=False, comment="1 for the surest box of the picture"
        ),
        sa.Column(
            "label_id",
            sa.Integer(),
            nullable=False,
            comment="the label of what is in it: labels.id",
        ),
        *_box(),
        sa.Column("score", sa.Double(), nullable=False, comment="how sure it is; higher is surer"),
        sa.Column(
            "truth", sa.Integer(), comment="number of the true box that it is; NULL if it is none"
        ),
        sa.CheckConstraint("x0 < x1 AND y0 < y1", name=op.f("ck_detections_box")),
        sa.CheckConstraint("rank >= 1", name=op.f("ck_detections_rank")),
        sa.PrimaryKeyConstraint("evaluation_id", "sample_id", "rank", name=op.f("pk_detections")),
        comment="One row per box that was found in a picture",
        sqlite_with_rowid=False,
    )


def _create_true_boxes() -> None:
    op.create_table(
        "true_boxes",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the picture"),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="of the box in its picture, from 0"
        ),
        sa.Column("label_id", sa.Integer(), nullable=False, comment="the label of what is in it"),
        *_box(),
        sa.Column("area", sa.Double(), nullable=False, comment="of the object in square pixels"),
        sa.Column(
            "is_crowd", sa.Boolean(), nullable=False, comment="around many that nobody told apart"
        ),
        sa.Column("is_difficult", sa.Boolean(), nullable=False, comment="nobody needs to find it"),
        sa.CheckConstraint("x0 < x1 AND y0 < y1", name=op.f("ck_true_boxes_box")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_true_boxes_evaluation_id")
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["samples.id"], name=op.f("fk_true_boxes_sample_id")
        ),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name=op.f("fk_true_boxes_label_id")),
        sa.PrimaryKeyConstraint("evaluation_id", "sample_id", "number", name=op.f("pk_true_boxes")),
        comment="One row per box that is in a picture of an evaluation that looks for boxes",
        sqlite_with_rowid=False,
    )
