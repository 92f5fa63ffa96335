"""A plugin that ends every process in which it is asked, but that which starts them."""

from __future__ import annotations

import os

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_losses() -> dict[str, str]:
    if os.getsid(0) == os.getpid():  # processes that execute cells have a session of their own
        os._exit(3)
    return {}
