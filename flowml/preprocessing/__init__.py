"""Feature scaling."""

from flowml.preprocessing.max_abs_scaler import MaxAbsScaler
from flowml.preprocessing.min_max_scaler import MinMaxScaler
from flowml.preprocessing.standard_scaler import StandardScaler

__all__ = ["MaxAbsScaler", "MinMaxScaler", "StandardScaler"]
