"""Alembic's entry: one transaction for all migrations, on `mmlab db` and on plain `alembic`."""

import os

from alembic.runtime.migration import MigrationContext

from alembic import context
from mmlab.store.migrate import VERSION_TABLE, check_references, lock, migrating, write_docs
from mmlab.store.tables import REVISION, metadata

if context.is_offline_mode():
    raise SystemExit("--sql is not supported: migrations look at the database they change")


def document(ctx: MigrationContext, heads: set[str], **_: object) -> None:
    """Let the database describe itself as soon as it has this program's revision."""
    if heads == {REVISION} and ctx.connection is not None:
        write_docs(ctx.connection)


with migrating(
    context.config.attributes.get("database"), os.environ.get("MMLAB_DB", "mmlab.db")
) as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
        render_as_batch=True,
        compare_server_default=True,
        on_version_apply=document,
    )
    with context.begin_transaction():
        lock(connection)
        if begin := context.config.attributes.get("begin"):
            begin(connection)
        context.run_migrations()
        check_references(connection)
