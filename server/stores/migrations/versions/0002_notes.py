"""Notes to look back at: nodes over time, what other strategies would have done, what strategies were asked."""

from __future__ import annotations

from alembic import op

from server.stores.tables import notes

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    notes.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    notes.drop(op.get_bind())
