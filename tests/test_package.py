import subprocess
import sys

import pytest

HEAVY = ("torch", "matplotlib", "ipywidgets", "anywidget", "skimage", "sklearn", "PIL")


@pytest.mark.parametrize(
    "module",
    ["convlab", *(f"convlab.{room}" for room in ("shapes", "ops", "kernels", "fields", "regions", "data"))],
)
def test_import_needs_numpy_alone(module):
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
