"""The composition root: settings become rooms, rooms become a running server. The only place that knows everybody.

`ground` is what every part stands on, `world` what is placed on and what is known of it, `engine` what moves runs from
submission to their end, `answering` what people ask. `running` puts them together, in that order, and ends them.
"""

from __future__ import annotations

from server.bootstrap.running import running

__all__ = ["running"]
