"""Breaking clusters on purpose: faults to train through, and what a fit may not leave behind."""

from flowml.testing.clean import assert_clean, leftovers
from flowml.testing.faults import Faults
from flowml.testing.moments import Strike
from flowml.testing.proxy import Proxy

__all__ = ["Faults", "Proxy", "Strike", "assert_clean", "leftovers"]
