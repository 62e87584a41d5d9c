"""The names of Keras' own layers that edgebn does not run: a user's own class is told from them by them.

Of Keras 3's `keras.layers`, and of Keras 2 where it had others.
"""

_NAMES = """
AbstractRNNCell AdaptiveAveragePooling3D AdaptiveMaxPooling3D AutoContrast AveragePooling3D AvgPool3D
CategoryCrossing CategoryEncoding ClassMethod ContrastLimitedAdaptiveHistogramEqualization Conv3D Conv3DTranspose ConvLSTM1D
ConvLSTM2D ConvLSTM3D Convolution3D Convolution3DTranspose Cropping3D CuDNNGRU CuDNNLSTM DenseFeatures Discretization
Embedding Equalization FlaxLayer GRUCell GlobalAveragePooling3D GlobalAvgPool3D GlobalMaxPool3D
GlobalMaxPooling3D HashedCrossing Hashing InstanceMethod InstanceProperty IntegerLookup
JaxLayer LSTMCell Lambda LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes MaxPool3D
MaxPooling3D MelSpectrogram Pipeline RandomCrop RandomFourierFeatures
ReversibleEmbedding STFTSpectrogram SeparableConv3D SimpleRNNCell Solarization
StackedRNNCells StringLookup TFSMLayer TextVectorization ThresholdedReLU
TorchModuleWrapper UpSampling3D Wrapper ZeroPadding3D
"""
OWN_CLASSES = frozenset(_NAMES.split())
