"""Makes tests/golden/data/recipe_sound.pt: a sound's features as the published code keeps them, one float tensor
[time][bins] saved by torch.save; here 5 x 3, counted up from 0. Needs torch."""
import os

import torch
from golden_file import FOLDER

torch.save(torch.arange(15, dtype=torch.float32).reshape(5, 3), os.path.join(FOLDER, "recipe_sound.pt"))
