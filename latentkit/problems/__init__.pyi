from .accuracy import MEANINGS as MEANINGS
from .accuracy import run_problems as run_problems
