from . import batch as batch, estimators as estimators  # doors of their own
from .errors import BssError as BssError, InputError as InputError, SolverError as SolverError, UsageError as UsageError
from .metrics.blind import BlindScores as BlindScores, score_blind as score_blind
from .metrics.score import score as score
from .metrics.scores import Scores as Scores
from .metrics.si_sdr import si_sdr as si_sdr
from .networks.denoiser.denoise import denoise as denoise
from .pipeline.dereverb import dereverberate as dereverberate
from .pipeline.files.unmix_file import UnmixedFiles as UnmixedFiles, unmix_file as unmix_file
from .pipeline.filters.files import load_filters as load_filters
from .pipeline.filters.filters import Filters as Filters
from .pipeline.live import Live as Live
from .pipeline.result import Unmixed as Unmixed
from .pipeline.scoring.files import ScoredFiles as ScoredFiles, score_files as score_files
from .pipeline.unmix import unmix as unmix
from .scenes.mixing import mix as mix
from .scenes.scene import Scene as Scene
from .signals.files.audio import read as read, write as write
from .signals.stft import Stft as Stft
from .signals.sync.synchronise import sync as sync
from .solvers.demixing.fdica import fdica as fdica
from .solvers.demixing.iva import auxiva as auxiva, ilrma as ilrma, overiva as overiva
from .solvers.demixing.tiss import JointSeparation as JointSeparation, tiss as tiss
from .solvers.instantaneous.ica import fastica as fastica
from .solvers.instantaneous.infomax import infomax as infomax
from .solvers.instantaneous.jade import jade as jade
from .solvers.instantaneous.picard import picard_o as picard_o
from .solvers.instantaneous.whitening import Whitening as Whitening, whiten as whiten
from .solvers.models.masks import cacgmm as cacgmm
from .solvers.models.mnmf import fastmnmf as fastmnmf
from .solvers.result import Separation as Separation
from .solvers.scaling import minimal_distortion as minimal_distortion, projection_back as projection_back
from .solvers.wpe import Dereverberated as Dereverberated, wpe as wpe

__version__: str
