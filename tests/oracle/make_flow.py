"""Makes tests/golden/data/flow.safetensors: OpenCV's TV-L1 optical flow of the picture pairs in tests/oracle/flow, parts
of frames of a Kinetics, a GRID and a UCF-101 clip. Needs numpy and opencv-contrib-python-headless."""
import pathlib

import cv2
import numpy as np
from golden_file import write

cv2.setNumThreads(1)
FOLDER = pathlib.Path(__file__).resolve().parent / "flow"
arrays = {}
for name in ("kinetics", "grid", "ucf"):
    first, second = (cv2.imread(str(FOLDER / f"{name}_{i}.png"), cv2.IMREAD_GRAYSCALE) for i in (1, 2))
    flow = cv2.optflow.DualTVL1OpticalFlow_create().calc(first, second, None)
    # Iterations end by a threshold, so rounding can decide how many there are.
    arrays[f"chaotic.{name}"] = np.moveaxis(flow, 2, 0)
    if name != "ucf":
        continue
    # Another set of parameters, and no median.
    other = cv2.optflow.DualTVL1OpticalFlow_create(tau=0.2, lambda_=0.3, theta=0.2, nscales=3, warps=3, epsilon=0.02,
                                                   innnerIterations=10, outerIterations=4, scaleStep=0.5,
                                                   medianFiltering=1)
    arrays[f"chaotic.{name}.other"] = np.moveaxis(other.calc(first, second, None), 2, 0)
write("flow.safetensors", arrays, {"opencv": cv2.__version__})
