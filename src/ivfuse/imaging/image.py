"""Pictures from and to files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.float32]
Rgb = NDArray[np.float32]
