from mmlab.loaded import load as load
from mmlab.report.results import results as results

__version__: str
NUMERICS: int
