"""Changes of the database's shape, oldest first, applied at start. `upgrade` is all that others call."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from server.domain.errors import ConfigurationError


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest shape, inside the connection's transaction.

    Raises ConfigurationError for a database that a newer version of the server has changed.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise ConfigurationError(
            f"the database was last used by a newer version of this server (its shape is {current!r})",
            hint="upgrade the server, or point DATABASE_URL at another database",
        )
    command.upgrade(config, "head")
