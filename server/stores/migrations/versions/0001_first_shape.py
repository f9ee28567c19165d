"""The first shape: runs with their tasks, events and decisions, what was learned, the cache, keys and leases."""

from __future__ import annotations

from alembic import op

from server.stores.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
