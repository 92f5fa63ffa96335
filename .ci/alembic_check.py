"""Migrate the empty database that MMLAB_DB names, then ask alembic whether anything differs."""

import os
import subprocess
import sys

from mmlab.store.migrate import upgrade

print(upgrade(os.environ["MMLAB_DB"]))
sys.exit(subprocess.run([sys.executable, "-m", "alembic", "check"], check=False).returncode)
