import subprocess
import sys
from importlib.metadata import EntryPoint

import mmlab_losses
import pytest

COMPONENTS = mmlab_losses.mmlab_losses()


def test_there_are_components() -> None:
    assert {"cross_entropy", "info_nce"} <= set(COMPONENTS)


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_every_name_leads_to_a_component(name: str) -> None:
    assert callable(EntryPoint(name, COMPONENTS[name], "mmlab").load())


def test_names_are_known_without_torch() -> None:
    code = "import sys, mmlab_losses; mmlab_losses.mmlab_losses(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
