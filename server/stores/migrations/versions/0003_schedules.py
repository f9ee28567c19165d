"""Schedules: pipelines that are submitted again and again."""

from __future__ import annotations

from alembic import op

from server.stores.tables import schedules

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schedules.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    schedules.drop(op.get_bind())
