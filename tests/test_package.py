import subprocess
import sys

import pytest

HEAVY = ("torch", "matplotlib", "ipywidgets", "anywidget", "skimage", "PIL")


@pytest.mark.parametrize(
    "module", ["convlab", "convlab.shapes", "convlab.ops", "convlab.kernels", "convlab.fields"]
)
def test_import_needs_numpy_alone(module):
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
