from mmlab.report.results import results as results
from mmlab.runner.load import load as load

__version__: str
NUMERICS: int
