"""The table of bad inputs: the command, and the exact error message."""

from __future__ import annotations

from dataclasses import dataclass

from bss.pipeline.methods.registry import NAMES as METHODS


@dataclass(frozen=True)
class Case:
    """A bad input. `what`, `why` and `hint` are the exact texts, or patterns if they begin with ^.

    `by` says under which circumstances it is tried; with `plain` there is no second try with --json; `programs` marks what
    ffmpeg, where it is installed, has a say in.
    """

    name: str
    words: str
    what: str
    why: str = ""
    hint: str = ""
    code: int = 3
    by: str = "in_process"
    plain: bool = False
    programs: bool = False


HELP = "bss unmix --help"
ONE = (
    "blind separation needs at least two microphones",
    "record with two or more microphones, and pass the files of all of them",
)
SILENT = (
    "there is nothing to separate",
    "check cables, mute switches, gain and input selection, or choose a part with sound (--start, --end)",
)
COPIES = (
    "this is one microphone copied to several channels, and one microphone cannot be separated",
    "record each microphone on its own track (multitrack, not mono or joint stereo)",
)
EXPORT = "export the file again, or choose a part before the first bad sample with --end"
NO_FOLDER = ("the results would be written into it", "another -o DIR")
SPAN = "times in seconds, with 0 <= start < end"
TERMINAL = "ffmpeg -i recording.m4a -f wav - | bss unmix - -o sources/"

FILES = [
    Case("missing file", "unmix tow.wav", "tow.wav does not exist", "", "^did you mean two.wav or .*"),
    Case(
        "missing folder", "unmix nowhere/a.wav", "nowhere/a.wav does not exist", "there is no folder nowhere",
        "check the spelling of the folder",
    ),
    Case("wildcard without match", "unmix *.mp4", "no file matches *.mp4", "", "check the pattern against the contents of ."),
    Case("no file named", "unmix", "missing argument 'FILES...'", "", HELP, 2),
    Case("folder without audio", "unmix notes", "the folder notes contains no audio files", "", "other files, or another folder"),
    Case(
        "audio in subfolders only", "unmix deep", "the folder deep contains no audio files", "subfolders are not searched",
        "one of its subfolders: deep/mics",
    ),
    Case(
        "text named .wav", "unmix text.wav", "^text.wav cannot be read as audio", "^libsndfile says: .*; ffmpeg.*",
        "^.*(WAV|ffmpeg).*", programs=True,
    ),
    Case(
        "truncated WAV", "unmix cut.wav", "cut.wav is truncated",
        "the header announces 128000 bytes of audio, the file contains 19956",
        "copy it again, or recover the rest: ffmpeg -i cut.wav fixed.wav",
    ),
    Case("zero-length file", "unmix empty.wav", "empty.wav is empty", "the file has a size of zero", "record or copy it again"),
    Case(
        "WAV without samples", "unmix none.wav", "none.wav contains no samples", "its header is valid, but nothing was recorded",
        "leave it out",
    ),
    Case(
        "m4a without ffmpeg", "unmix talk.m4a", "talk.m4a cannot be read as audio",
        "^libsndfile says: .*; ffmpeg, which supports more formats, is not installed", "^.*install.*ffmpeg.*",
        by="without_programs",
    ),
    Case(
        "same file twice", "unmix two.wav ./two.wav", "two.wav is named twice",
        "a second copy of a microphone adds nothing to separate by", "name it once",
    ),
    Case(
        "nothing on stdin", "unmix -", "stdin is empty", "the program before the pipe wrote nothing", "check its messages",
    ),
    Case(
        "stdin is a terminal", "unmix -", "stdin is a terminal", "'-' reads audio from a pipe", TERMINAL, 2,
        by="on_a_terminal", plain=True,
    ),
]  # fmt: skip

CHANNELS = [
    Case("one channel", "unmix one.wav", "the recording has only one channel, one.wav", *ONE),
    Case("all channels silent", "unmix silent.wav", "both channels are silent", *SILENT),
    Case("all channels identical", "unmix same.wav", "all 3 channels contain the same signal", *COPIES),
    Case(
        "NaN in all but one channel", "unmix nan.wav", "only one of the 3 channels is usable",
        "nan.wav[2] contains NaN or infinite samples; nan.wav[3] contains NaN or infinite samples; separation needs two", EXPORT,
    ),
    Case(
        "infinite samples in all channels", "unmix inf.wav", "none of the 2 channels is usable",
        "inf.wav[1] contains NaN or infinite samples; inf.wav[2] contains NaN or infinite samples; separation needs two", EXPORT,
    ),
    Case(
        "too short", "unmix two.wav --start 1 --end 1.05", "the recording is only 0.05 s long (800 samples)",
        "that is too short to learn demixing filters from", "a longer part; ten seconds or more work well",
    ),
    Case(
        "more talkers than microphones", "unmix two.wav --sources 3 --method ilrma",
        "3 talkers requested, but there are only 2 usable microphones", "ilrma separates at most one talker per microphone",
        "at most 2 talkers, or the method cacgmm (chosen by auto), which has no such limit", 2,
    ),
    Case(
        "--per-mic and fewer talkers", "unmix two.wav --per-mic --sources 1",
        "1 talker requested, but one track per microphone makes 2", "",
        "leave the number of talkers out", 2,
    ),
    Case(
        "--per-mic and a mix-down", "unmix mixdown.wav --per-mic", "mixdown.wav[3] is an exact mixture of other channels",
        "one track per microphone requires that every talker has a microphone", "leave out mix-downs and processed tracks",
    ),
]  # fmt: skip

OPTIONS = [
    *(
        Case(
            f"--sources {value}", f"unmix two.wav --sources {value}", f"--sources {value} is not a number of talkers", "",
            "--sources 2, or --sources auto", 2,
        )
        for value in ("x", "0", "-1", "2.5")
    ),
    Case(
        "unknown method", "unmix two.wav --method ilmra", "--method ilmra is not known", "",
        "did you mean ilrma? one of " + ", ".join(METHODS), 2,
    ),
    Case(
        "unknown option", "unmix two.wav --souces 2", "there is no option --souces", "", f"did you mean --sources? {HELP}", 2,
    ),
    Case("unknown command", "unmx two.wav", "no such command 'unmx'. Did you mean 'unmix'?", "", "bss --help", 2),
    Case(
        "--reference-mic 9", "unmix two.wav --reference-mic 9", "--reference-mic 9: the recording has 2 channels", "",
        "1 to 2", 2,
    ),
    Case(
        "--reference-mic 0", "unmix two.wav --reference-mic 0", "--reference-mic: 0 is not in the range x>=1", "", HELP, 2,
    ),
    Case(
        "--start after the end", "unmix two.wav --start 9", "two.wav ends before the requested start, 9 s", "it is 2.000 s long",
        "an earlier --start",
    ),
    Case(
        "--end before --start", "unmix two.wav --start 2 --end 1", "start=2.0 and end=1.0 leave nothing to read", "", SPAN, 2,
    ),
    *(
        Case(f"{words}", f"{command} {words}", f"{words} is out of range", "", hint, 2)
        for command, words, hint in (
            ("unmix two.wav", "--start nan", "0 to 1000000000"),
            ("unmix two.wav", "--end 1e308", "0 to 1000000000"),
            ("unmix two.wav", "--end inf", "0 to 1000000000"),
            ("check two.wav", "--end inf", "0 to 1000000000"),
            ("unmix two.wav --denoise", "--strength nan", "0 to 1"),
            ("unmix two.wav", "--sources 99999999999999999999", "1 to 1024, or --sources auto"),
            ("mix one.wav", "--rt60 inf", "0 to 1000"),
            ("mix one.wav --instantaneous", "--rt60 nan", "0 to 1000"),
            ("mix one.wav --instantaneous", "--rt60 -1", "0 to 1000"),
            ("mix one.wav", "--snr nan", "-100 to 300, or inf"),
            ("mix one.wav", "--spacing inf", "0.001 to 100"),
            ("mix one.wav", "--seconds 1e300", "0.01 to 86400"),
        )
    ),
    Case(
        "more talkers than can be told apart", "unmix two.wav --sources 9", "9 talkers requested, from 2 usable microphones",
        "more than 4 for each microphone cannot be told apart by any method", "at most 8 talkers, or auto, which counts them", 2,
    ),
    Case(
        "--start is no number", "unmix two.wav --start soon", "--start soon is not a number", "", "0 to 1000000000", 2,
    ),
    Case("--seed -1", "unmix two.wav --seed -1", "--seed: -1 is not in the range 0<=x<=18446744073709551615", "", HELP, 2),
    Case("--threads 0", "unmix two.wav --threads 0", "--threads: 0 is not in the range 1<=x<=4096", "", HELP, 2),
    Case(
        "--max-memory that is no size", "unmix two.wav --max-memory lots", "--max-memory lots is not a size", "",
        "--max-memory 2G, or --max-memory 500M", 2,
    ),
    Case(
        "--max-memory too small", "unmix two.wav --max-memory 50M",
        "2 microphones at 16000 Hz cannot be separated in 50M of memory (--max-memory 50M)",
        "^even in pieces about [0-9.]+[MG] are needed, .*", "^--max-memory [0-9.]+[MG], or .*", 2,
    ),
    Case(
        "--resume and -o -", "unmix two.wav --resume -o -", "--resume and -o - cannot be combined", "what went to stdout is gone",
        "a folder for the tracks", 2, plain=True,
    ),
    Case(
        "--resume of a pipe", "unmix - --resume", "--resume needs files", "what came from stdin is gone",
        "store the recording in a file first", 2,
    ),
    Case(
        "--progress as what", "unmix two.wav --progress xml", "--progress xml is not known", "", "one of auto, json", 2,
    ),
    Case("-o without a name", "unmix two.wav -o", "option '-o' requires an argument", "", HELP, 2, plain=True),
    Case(
        "-o with an empty name", "unmix two.wav -o ''", "-o has an empty name", "",
        "check the shell variable or quotes it came from", 2,
    ),
    Case(
        "-o - and --json", "unmix two.wav -o - --json", "-o - and --json cannot be combined", "both write to stdout",
        "a folder for the tracks, or no --json", 2,
    ),
]  # fmt: skip

PLACES = [
    Case(
        "output exists", "unmix two.wav -o done", "done/source1.wav already exists (and 1 more)",
        "bss replaces files only on request",
        "--overwrite (in Python overwrite=True), or another -o DIR",
    ),
    Case("-o is a file", "unmix two.wav -o one.wav", "one.wav is not a folder", *NO_FOLDER),
    Case("-o below a file", "unmix two.wav -o one.wav/tracks", "one.wav is not a folder", *NO_FOLDER),
    Case(
        "-o where nobody may write", "unmix two.wav -o /proc/tracks", "the folder /proc/tracks cannot be created", "^.+",
        "another -o DIR",
    ),
    Case(
        "an output is an input", "unmix source1.wav one.wav -o . --overwrite", "source1.wav is one of the inputs",
        "inputs are never overwritten", "another -o DIR",
    ),
    Case(
        "full disk", "unmix two.wav --sources 2 -o tracks", "there is not enough disk space in tracks",
        "about 0.5 MB are needed, 0.0 MB are free", "free some space, or use another -o DIR", by="on_a_full_disk",
    ),
    Case(
        "disk that gets full on the way", "unmix two.wav -o tracks", "tracks/source1.wav cannot be written", "^.+",
        "check whether the disk is full", by="where_files_end_early", plain=True,
    ),
    Case(
        "stdout gets full", "unmix two.wav -o -", "No space left on device", "the operating system refused it",
        by="to_a_full_device", plain=True,
    ),
    Case(
        "-o - on a terminal", "unmix two.wav -o -", "stdout is a terminal", "audio would garble it", "-o DIR, or a pipe", 2,
        by="on_a_terminal", plain=True,
    ),
    Case("Ctrl-C while it separates", "unmix long.wav -o tracks", "interrupted", code=130, by="interrupted", plain=True),
]  # fmt: skip

OTHERS = [
    Case("missing file", "check tow.wav", "tow.wav does not exist", "", "^did you mean two.wav or .*"),
    Case("one channel", "check one.wav", "the recording has only one channel, mic 1 (one.wav)", *ONE),
    Case("no voices", "mix", "there are no voices", "", "bss mix anna.wav ben.wav -o scene/, or --scene scene.json", 2),
    Case("missing voice", "mix onn.wav", "onn.wav does not exist", "", "^did you mean one.wav.*"),
    Case("silent voice", "mix hush.wav one.wav", "^.*silent.*", "^.+", "^.+"),
    Case("a scene on stdout", "mix one.wav -o -", "-o - means stdout, but there are several files to write", "", "a folder", 2),
    Case(
        "impossible reverberation", "mix one.wav --rt60 99", "rt60=99 s is out of range for a room of 6x5x3 m", "^.+", "^.+", 2,
    ),
    Case(
        "a room that is no size", "mix one.wav --room large", "--room large is invalid",
        "expected numbers separated by 'x'", "6x5x3", 2,
    ),
    Case(
        "one argument", "score one.wav", "expected two arguments, REFERENCES and ESTIMATES, but there are 1",
        "expected the true and the separated tracks",
        'folders, or globs in quotes: bss score "truth/*.wav" "sources/*.wav"; or --no-reference', 2,
    ),
    Case("missing estimates", "score one.wav onn.wav", "onn.wav does not exist", "", "^did you mean one.wav.*"),
    Case(
        "NaN in an estimate", "score two.wav nan.wav", "nan.wav[2] contains 1 NaN or infinite samples",
        "a score of them is meaningless",
    ),
    Case(
        "score under the gate", "score one.wav source1.wav --fail-under 50",
        "^the mean SI-SDR of .* dB is below --fail-under 50", code=5,
    ),
    Case("no text", "voices", "missing argument 'TEXT...'", "", "bss voices --help", 2),
    Case("voices on stdout", "voices hello -o -", "-o - means stdout, but there are several files to write", "", "a folder", 2),
]  # fmt: skip

CASES = [*FILES, *CHANNELS, *OPTIONS, *PLACES, *OTHERS]
