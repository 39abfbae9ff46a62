"""A layer, a family of models, a data set, a protocol and a signature of one's own.

CONTRIBUTING counts the files; `tests/test_contributing.py` trains, evaluates and exports with them.
"""

from worked_example import gain_net as gain_net
from worked_example import gain_net_weights as gain_net_weights
from worked_example import most_confused as most_confused
from worked_example import stripes as stripes
from worked_example import top2 as top2
from worked_example.gain_control import GainControl as GainControl
