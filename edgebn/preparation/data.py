"""What a program keeps about its surroundings: how pictures and sounds become inputs, how outputs become answers. Plain data.

Kept in the `.edgebn` file beside the network and no part of its hash: what the network computes does not depend on it.
"""

from __future__ import annotations

from edgebn.quick_dataclass import dataclass


@dataclass(frozen=True)
class MicroFrontEnd:
    """The audio front end of TensorFlow Lite Micro ("microfrontend"), integers from the samples to the features.

    Window, real FFT of 16 bits, mel filters, square root, noise reduction, gain control per channel (PCAN), logarithm. Defaults are
    those of micro_speech and microWakeWord, and of the package pymicro-features.

    Attributes
    ----------
    sample_rate : int
        Of the samples, in Hz.
    window_ms, step_ms : int
        Length of a window and the step from one to the next, in milliseconds.
    channels : int
        Features of each window.
    lower_hz, upper_hz : float
        The band that the filters cover.
    smoothing_bits : int
        Fraction bits of the noise estimate.
    even_smoothing, odd_smoothing : float
        How fast it follows, in even and odd channels.
    min_signal_remaining : float
        The share of the signal that noise reduction leaves at least.
    pcan : bool
        Whether there is gain control, with the next three.
    pcan_strength, pcan_offset : float
    pcan_gain_bits : int
    log : bool
        Whether the logarithm is taken.
    log_scale_shift : int
        Features are logarithms times 2 ** log_scale_shift.
    """

    sample_rate: int = 16000
    window_ms: int = 30
    step_ms: int = 10
    channels: int = 40
    lower_hz: float = 125.0
    upper_hz: float = 7500.0
    smoothing_bits: int = 10
    even_smoothing: float = 0.025
    odd_smoothing: float = 0.06
    min_signal_remaining: float = 0.05
    pcan: bool = True
    pcan_strength: float = 0.95
    pcan_offset: float = 80.0
    pcan_gain_bits: int = 21
    log: bool = True
    log_scale_shift: int = 6

    @property
    def window(self) -> int:
        """Samples of a window."""
        return self.window_ms * self.sample_rate // 1000

    @property
    def step(self) -> int:
        """Samples from one window to the next."""
        return self.step_ms * self.sample_rate // 1000

    @property
    def fft_size(self) -> int:
        """The power of two that holds a window."""
        return 1 << (self.window - 1).bit_length()


@dataclass(frozen=True)
class MfccFrontEnd:
    """Mel-frequency cepstral coefficients as TensorFlow's signal operators define them, in integers.

    Window (Hann, periodic), real FFT of 32 bits, magnitudes, mel filters, logarithm, DCT. Defaults are those of MLPerf Tiny's
    keyword network. Features are uint16: 128 times the coefficient, plus 32768. Of speech and noise they are within 0.1 of what
    float64 gives; of a pure tone, whose other filters are 90 dB below it, within 2.

    Attributes
    ----------
    sample_rate : int
        Of the samples, in Hz.
    window_ms, step_ms : int
        Length of a window and the step from one to the next, in milliseconds.
    filters : int
        Mel filters.
    channels : int
        Coefficients of each window, at most `filters`.
    lower_hz, upper_hz : float
        The band that the filters cover.
    normalize : bool
        Whether the loudest sample that the network hears at once counts as 1, as MLPerf Tiny has it; else 32768 does.
    """

    sample_rate: int = 16000
    window_ms: int = 30
    step_ms: int = 20
    filters: int = 40
    channels: int = 10
    lower_hz: float = 20.0
    upper_hz: float = 4000.0
    normalize: bool = True

    @property
    def window(self) -> int:
        """Samples of a window."""
        return self.window_ms * self.sample_rate // 1000

    @property
    def step(self) -> int:
        """Samples from one window to the next."""
        return self.step_ms * self.sample_rate // 1000

    @property
    def fft_size(self) -> int:
        """The power of two that holds a window."""
        return 1 << (self.window - 1).bit_length()


# real = feature * MFCC_SCALE + MFCC_OFFSET is the coefficient.
MFCC_SCALE, MFCC_OFFSET = 1 / 128, -256.0


@dataclass(frozen=True)
class Sound:
    """How 16-bit sound becomes the input of a network.

    Attributes
    ----------
    front_end : MicroFrontEnd or MfccFrontEnd
    scale, offset : float
        real = feature * scale + offset, in float32; see MFCC_SCALE and MFCC_OFFSET.
    codes : {'network', 'micro_speech'}
        How int8 codes follow: by the input's own scale and zero point, or by the integers of micro_speech's and ESPHome's code
        whatever these are, (feature * 256 + 333) // 666 - 128.
    stride : int
        Windows that are new from one inference to the next; the others were there before.
    """

    front_end: MicroFrontEnd | MfccFrontEnd
    scale: float = 0.0390625
    offset: float = 0.0
    codes: str = "network"
    stride: int = 1


@dataclass(frozen=True)
class Frame:
    """A camera's frame buffer, for firmware: rows without gaps.

    Attributes
    ----------
    height, width : int
    layout : {'grey', 'rgb888', 'bgr888', 'rgb565', 'rgb565_swapped', 'yuyv'}
        See `edgebn.preparation.frames`.
    """

    height: int
    width: int
    layout: str = "rgb888"


@dataclass(frozen=True)
class Picture:
    """How a picture of 8 bits and any size becomes the input of a network.

    Attributes
    ----------
    colours : {'rgb', 'bgr', 'grey'}
        Order of the input's channels.
    resize : {'bilinear', 'antialias', 'area', 'nearest'}
        See `edgebn.preparation.resizing`.
    fit : {'stretch', 'crop', 'letterbox'}
        The whole picture out of proportion, its middle in proportion, or the whole in proportion with borders.
    border : int
        Stored value of the borders.
    scale, offset : tuple of float, one or one a channel
        real = pixel * scale + offset, in float32, channels in the order of `colours`.
    frame : Frame or None
        What firmware takes pictures from; None where it takes none.
    """

    colours: str = "rgb"
    resize: str = "bilinear"
    fit: str = "stretch"
    border: int = 0
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    frame: Frame | None = None


@dataclass(frozen=True)
class Classes:
    """What the scores of a classifier are called.

    Attributes
    ----------
    names : tuple of str
        By class; empty where nobody said.
    logits : bool
        Whether scores become probabilities by a softmax; else they are some already.
    """

    names: tuple[str, ...] = ()
    logits: bool = False


@dataclass(frozen=True)
class Anchors:
    """The boxes that an SSD detector's codes are told against, in shares of its input.

    middle = code / scale * side + middle of the anchor; side of the box = exp(code / scale) * side, or code / scale * side.

    Attributes
    ----------
    maps : tuple of (rows, columns, anchors of a cell)
        Anchors in the middles of cells, with sides of 1, row by row: those of BlazeFace. Empty where `boxes` says them.
    boxes : tuple of (y, x, height, width)
    scales : (y, x, height, width)
    order : {'yxhw', 'xywh'}
        Of a box's four codes.
    exponential : bool
        Whether sides are exponentials of their codes.
    """

    maps: tuple[tuple[int, int, int], ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    order: str = "yxhw"
    exponential: bool = True


@dataclass(frozen=True)
class Boxes:
    """How a detector's outputs become boxes.

    Attributes
    ----------
    names : tuple of str
        By class.
    head : {'yolov8', 'yolov5', 'corners', 'anchors', 'post_process', 'fomo'}
        See `edgebn.preparation.heads`.
    shares : bool
        Whether the boxes of the YOLO heads and corners are in shares of the input, not in its pixels.
    score : float
        What an object's score must be above.
    overlap : float
        By how much of their union two boxes of a class may overlap.
    most : int
        Objects that are told of one picture.
    points : int
        Key points that come with each box.
    logits : bool
        Whether scores become probabilities by a sigmoid.
    anchors : Anchors or None
        Of the head 'anchors'.
    masks : int
        Coefficients of a mask that come with each box of the head 'yolov8', whose second output is (height, width, masks)
        prototypes.
    """

    names: tuple[str, ...]
    head: str = "yolov8"
    shares: bool = False
    score: float = 0.25
    overlap: float = 0.7
    most: int = 300
    points: int = 0
    logits: bool = False
    anchors: Anchors | None = None
    masks: int = 0


@dataclass(frozen=True)
class Mask:
    """A map of scores, (height, width, classes), or of class numbers tells the class of every part of the picture.

    Class numbers are int32, (height, width) or with an axis of 1 in front or behind: what an argmax ends with.

    Attributes
    ----------
    names : tuple of str
        By class; empty where nobody said, which numbers that no argmax made want.
    """

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeyPoints:
    """Rows of y, x and a score, in shares of the input: what MoveNet ends with.

    Attributes
    ----------
    names : tuple of str
        By point.
    score : float
        Of a point that is told, at least.
    """

    names: tuple[str, ...]
    score: float = 0.0


@dataclass(frozen=True)
class WakeWord:
    """One probability an inference says how sure the network is to have just heard its word; as ESPHome's micro_wake_word decides.

    A probability is its 8-bit code, rint(255 * probability) of a float32 output. The word was heard when the sum of the last
    `window` codes is above int(cutoff * 255) * window; they are then forgotten, and nothing is heard for `refractory` inferences.

    Attributes
    ----------
    name : str
    window : int
        Inferences of the sliding average.
    cutoff : float
        What it must be above, from 0 to 1.
    refractory : int
        Inferences.
    """

    name: str
    window: int = 5
    cutoff: float = 0.97
    refractory: int = 25


@dataclass(frozen=True)
class Anomaly:
    """How far a network that gives back its input is off: the mean of the squared differences.

    Attributes
    ----------
    threshold : float
        Above which it is an anomaly.
    """

    threshold: float


@dataclass(frozen=True)
class Preparation:
    """What stands before and behind a network.

    Attributes
    ----------
    before : Picture, Sound or None
        For the program's only input.
    after : Classes, Boxes, Mask, KeyPoints, WakeWord, Anomaly or None
        For its outputs, of which all but `Boxes` want one.
    """

    before: Picture | Sound | None = None
    after: Classes | Boxes | Mask | KeyPoints | WakeWord | Anomaly | None = None
