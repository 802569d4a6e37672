from .batches import Batch as Batch, Outcome as Outcome, run as run
from .manifest import read_manifest as read_manifest
from .recordings import Input as Input, Recording as Recording
from .workers.failures import Failure as Failure
