"""What alembic runs: the migrations, on the connection that the store hands over."""

from __future__ import annotations

from alembic import context

from server.stores.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
context.run_migrations()
