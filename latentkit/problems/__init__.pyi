from .accuracy import run_problems as run_problems
from .generator import draw_problems as draw_problems
from .generator import make_problem as make_problem
from .kinds import KINDS as KINDS
from .kinds import MEANINGS as MEANINGS
