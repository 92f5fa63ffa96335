"""Make a virtual environment of wheels: `clean_venv.py VENV WHEELS`.

What is ours comes from the wheels alone. What is others' (torch above all) is not downloaded again:
a path file names a folder of links to this environment's packages, ours left out.
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

OURS = ("mmlab", "_editable_impl_mmlab", "stranger", "_mmlab", "__editable__")


def main(target: Path, wheels: Path) -> None:
    """Make the environment and install every wheel."""
    venv.create(target, with_pip=False)
    shared = target / "shared"
    shared.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        # Path files inside an added folder are not read, but leave them out all the same.
        if not entry.name.startswith(OURS) and entry.suffix != ".pth":
            (shared / entry.name).symlink_to(entry)
    site = target / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "shared.pth").write_text(f"{shared}\n")
    python = target / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, *sorted(wheels.glob("*.whl"))], check=True)


main(Path(sys.argv[1]), Path(sys.argv[2]))
