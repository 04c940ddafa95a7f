"""Linear support vector machines."""

from flowml.svm.linear_svc import LinearSVC
from flowml.svm.linear_svr import LinearSVR

__all__ = ["LinearSVC", "LinearSVR"]
