"""Run a command with MMLAB_DB naming a new database on a Postgres server, as the tests do."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.postgres_server import create_database, drop_database, running_server

with running_server() as server:
    if server is None:
        sys.exit("no Postgres server could be found or started")
    name = f"check_{uuid.uuid4().hex[:12]}"
    url = create_database(server, name).render_as_string(hide_password=False)
    done = subprocess.run(sys.argv[1:], env={**os.environ, "MMLAB_DB": url}, check=False)
    drop_database(server, name)
sys.exit(done.returncode)
