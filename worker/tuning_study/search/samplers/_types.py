"""Arrays as the samplers pass them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.intp]
"""Trial numbers, or indices."""
