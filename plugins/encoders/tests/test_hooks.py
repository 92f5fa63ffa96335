import subprocess
import sys
from importlib.metadata import EntryPoint

import mmlab_encoders
import pytest

COMPONENTS = mmlab_encoders.mmlab_encoders()


def test_there_is_an_encoder_for_every_kind_of_value() -> None:
    assert {"audio_convnet", "convnet", "transformer"} <= set(COMPONENTS)


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_every_name_leads_to_a_component(name: str) -> None:
    assert callable(EntryPoint(name, COMPONENTS[name], "mmlab").load())


def test_names_are_known_without_torch() -> None:
    code = (
        "import sys, mmlab_encoders; mmlab_encoders.mmlab_encoders(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
