"""One table: Keras class name to the function that reads it, and hints for classes that edgebn refuses."""

from __future__ import annotations

from edgebn.errors import UnsupportedLayerError
from edgebn.formats.keras import (
    activations,
    attention,
    convolutions,
    merging,
    moving,
    norms,
    operations,
    pooling,
    products,
    recurrent,
)
from edgebn.formats.keras.definitions import LayerDefinition
from edgebn.formats.keras.own_classes import OWN_CLASSES
from edgebn.formats.keras.place import LayerFunction
from edgebn.layers import Add, Binary, Multiply

# Layers that change values in training only.
RANDOM = (
    "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom",
)  # fmt: skip
NORMS = ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization")

LAYERS: dict[str, LayerFunction] = {
    "Conv1D": convolutions.convolution(1),
    "Conv2D": convolutions.convolution(2),
    "Convolution1D": convolutions.convolution(1),
    "Convolution2D": convolutions.convolution(2),
    "DepthwiseConv1D": convolutions.depthwise(1),
    "DepthwiseConv2D": convolutions.depthwise(2),
    "SeparableConv1D": convolutions.separable(1),
    "SeparableConv2D": convolutions.separable(2),
    "SeparableConvolution1D": convolutions.separable(1),
    "SeparableConvolution2D": convolutions.separable(2),
    "Conv1DTranspose": convolutions.transposed(1),
    "Conv2DTranspose": convolutions.transposed(2),
    "Convolution1DTranspose": convolutions.transposed(1),
    "Convolution2DTranspose": convolutions.transposed(2),
    "Dense": convolutions.dense,
    "EinsumDense": products.einsum_dense,
    "MultiHeadAttention": attention.multi_head,
    "GroupQueryAttention": attention.group_query,
    "GroupedQueryAttention": attention.group_query,  # its name in .h5 files
    "Attention": attention.attention,
    "AdditiveAttention": attention.additive_attention,
    "Dot": products.dot,
    **dict.fromkeys(NORMS, norms.batch_norm),
    "LayerNormalization": norms.layer_norm,
    "GroupNormalization": norms.group_norm,
    "RMSNormalization": norms.rms_norm,
    "UnitNormalization": norms.unit_norm,
    "RepeatVector": moving.repeat_vector,
    "Rescaling": norms.rescaling,
    "Resizing": moving.resizing,
    "Normalization": norms.normalization,
    "LSTM": recurrent.layer("lstm"),
    "GRU": recurrent.layer("gru"),
    "SimpleRNN": recurrent.layer("rnn"),
    "RNN": recurrent.rnn,
    "Bidirectional": recurrent.bidirectional,
    "Activation": activations.activation_layer,
    "ReLU": activations.relu,
    "ELU": activations.elu,
    "LeakyReLU": activations.leaky_relu,
    "PReLU": activations.prelu,
    "Softmax": activations.softmax,
    "Add": merging.elementwise(Add),
    "Multiply": merging.elementwise(Multiply),
    "Maximum": merging.elementwise(Binary, function="maximum"),
    "Minimum": merging.elementwise(Binary, function="minimum"),
    "Subtract": merging.subtract,
    "Average": merging.average,
    "Concatenate": merging.concatenate,
    "MaxPooling1D": pooling.window("max", 1),
    "MaxPooling2D": pooling.window("max", 2),
    "MaxPool1D": pooling.window("max", 1),
    "MaxPool2D": pooling.window("max", 2),
    "AveragePooling1D": pooling.window("average", 1),
    "AveragePooling2D": pooling.window("average", 2),
    "AvgPool1D": pooling.window("average", 1),
    "AvgPool2D": pooling.window("average", 2),
    "AdaptiveMaxPooling1D": pooling.adaptive("max", 1),
    "AdaptiveMaxPooling2D": pooling.adaptive("max", 2),
    "AdaptiveAveragePooling1D": pooling.adaptive("average", 1),
    "AdaptiveAveragePooling2D": pooling.adaptive("average", 2),
    "GlobalMaxPooling1D": pooling.whole("max", 1),
    "GlobalMaxPooling2D": pooling.whole("max", 2),
    "GlobalMaxPool1D": pooling.whole("max", 1),
    "GlobalMaxPool2D": pooling.whole("max", 2),
    "GlobalAveragePooling1D": pooling.whole("mean", 1),
    "GlobalAveragePooling2D": pooling.whole("mean", 2),
    "GlobalAvgPool1D": pooling.whole("mean", 1),
    "GlobalAvgPool2D": pooling.whole("mean", 2),
    "ZeroPadding1D": moving.zero_padding(1),
    "ZeroPadding2D": moving.zero_padding(2),
    "Cropping1D": moving.cropping(1),
    "Cropping2D": moving.cropping(2),
    "UpSampling1D": moving.upsampling(1),
    "UpSampling2D": moving.upsampling(2),
    "Flatten": moving.flatten,
    "Reshape": moving.reshape,
    "Permute": moving.permute,
    "CenterCrop": moving.center_crop,
    "Identity": moving.identity,
    "ActivityRegularization": moving.identity,
    **dict.fromkeys(RANDOM, moving.identity),
    "CustomScaleLayer": merging.scaled_sum,  # of keras.applications.InceptionResNetV2
    "LayerScale": norms.layer_scale,  # of keras.applications.ConvNeXt, and so is StochasticDepth
    "StochasticDepth": moving.identity,
    "SlicingOpLambda": operations.slicing_operation,
    "TFOpLambda": operations.tensorflow_operation,
}

PAGE = "docs/formats.md"

_RECURRENT = "convolutions do not recur on edgebn; use LSTM or GRU behind convolutions"
_CUDNN = "save the model with LSTM or GRU (reset_after=True) in its place"
_CODE = "edgebn cannot know what its code does; build it from Keras layers, or export the model to ONNX"
_VOLUME = "edgebn runs layers in one and two dimensions"
_HINTS = {
    "ConvLSTM1D": _RECURRENT,
    "ConvLSTM2D": _RECURRENT,
    "CuDNNGRU": _CUDNN,
    "CuDNNLSTM": _CUDNN,
    "Lambda": _CODE,
    "ClassMethod": _CODE,
    "InstanceMethod": _CODE,
    "Conv3D": _VOLUME,
    "MaxPooling3D": _VOLUME,
    "AveragePooling3D": _VOLUME,
    "ThresholdedReLU": "use ReLU(threshold=...) in its place",
    "Embedding": "edgebn takes real numbers in; look the vectors up before the network",
    "Masking": "edgebn runs whole sequences; cut them to length before the network",
    "RandomCrop": "crop the input before the network, or use CenterCrop",
}


def function_of(layer: LayerDefinition) -> LayerFunction:
    """Return the function that reads `layer`.

    Raises
    ------
    UnsupportedLayerError
        With a hint; the caller adds the layer's name.
    """
    if layer.class_name == "InputLayer":
        raise UnsupportedLayerError("an input inside the network; the file is damaged")
    if layer.is_operation:
        if layer.class_name not in operations.OPERATIONS:
            raise UnsupportedLayerError(f"edgebn does not run this operation; write it with layers that {PAGE} lists")
        return operations.OPERATIONS[layer.class_name]
    if layer.class_name not in LAYERS:
        raise UnsupportedLayerError(f"edgebn does not run this layer: {_hint(layer.class_name)}")
    return LAYERS[layer.class_name]


def _hint(class_name: str) -> str:
    if class_name in _HINTS:
        return _HINTS[class_name]
    if class_name in OWN_CLASSES:
        return f"build the network from layers that {PAGE} lists"
    return f'if it is your own and works like a Keras layer, say which: custom_layers={{"{class_name[:40]}": "BatchNormalization"}}'
