"""What the reader needs of TensorFlow Lite's schema (schema.fbs): names by number, and tables up to the last field it reads."""

from __future__ import annotations

from edgebn.formats.tflite.tables import Schema

OPERATORS = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
    FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
    MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
    SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
    TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
    LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
    LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
    ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
    REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS
    SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG
    ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
    HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE
    ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
    RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST
    BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
    STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
    STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
    STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
    STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
    STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
""".split()  # noqa: SIM905  # the formatter gives every word of a list a line

TYPES = """
    FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE VARIANT UINT32
    UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2
""".split()  # noqa: SIM905  # the formatter gives every word of a list a line

# Of operators' options, with their number in the union.
OPTIONS: dict[str, tuple[int, str]] = {
    "AddOptions": (11, "fused_activation_function:byte pot_scale_int16:bool=1"),
    "BatchMatMulOptions": (101, "adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool"),
    "BidirectionalSequenceLSTMOptions": (
        69,
        "fused_activation_function:byte cell_clip:float proj_clip:float merge_outputs:bool time_major:bool=1",
    ),
    "BidirectionalSequenceRNNOptions": (70, "time_major:bool fused_activation_function:byte merge_outputs:bool"),
    "CallOnceOptions": (103, "init_subgraph_index:int"),
    "ConcatenationOptions": (10, "axis:int fused_activation_function:byte"),
    "Conv2DOptions": (
        1,
        "padding:byte stride_w:int stride_h:int fused_activation_function:byte dilation_w_factor:int=1 dilation_h_factor:int=1",
    ),
    "CumsumOptions": (102, "exclusive:bool reverse:bool"),
    "DepthToSpaceOptions": (94, "block_size:int"),
    "DepthwiseConv2DOptions": (
        2,
        (
            "padding:byte stride_w:int stride_h:int depth_multiplier:int fused_activation_function:byte "
            "dilation_w_factor:int=1 dilation_h_factor:int=1"
        ),
    ),
    "DivOptions": (29, "fused_activation_function:byte"),
    "FullyConnectedOptions": (8, "fused_activation_function:byte weights_format:byte keep_num_dims:bool"),
    "GatherOptions": (23, "axis:int batch_dims:int"),
    "GeluOptions": (116, "approximate:bool"),
    "L2NormOptions": (12, "fused_activation_function:byte"),
    "LeakyReluOptions": (75, "alpha:float"),
    "LocalResponseNormalizationOptions": (13, "radius:int bias:float alpha:float beta:float"),
    "MirrorPadOptions": (77, "mode:byte"),
    "MulOptions": (21, "fused_activation_function:byte"),
    "OneHotOptions": (61, "axis:int"),
    "PackOptions": (59, "values_count:int axis:int"),
    "Pool2DOptions": (
        5,
        "padding:byte stride_w:int stride_h:int filter_width:int filter_height:int fused_activation_function:byte",
    ),
    "ReducerOptions": (27, "keep_dims:bool"),
    "ReshapeOptions": (17, "new_shape:[int]"),
    "ResizeBilinearOptions": (15, "new_height:int new_width:int align_corners:bool half_pixel_centers:bool"),
    "ResizeNearestNeighborOptions": (74, "align_corners:bool half_pixel_centers:bool"),
    "RNNOptions": (7, "fused_activation_function:byte"),
    "SequenceRNNOptions": (31, "time_major:bool fused_activation_function:byte"),
    "SoftmaxOptions": (9, "beta:float"),
    "SpaceToDepthOptions": (19, "block_size:int"),
    "SqueezeOptions": (30, "squeeze_dims:[int]"),
    "StridedSliceOptions": (32, "begin_mask:int end_mask:int ellipsis_mask:int new_axis_mask:int shrink_axis_mask:int offset:bool"),
    "SubOptions": (28, "fused_activation_function:byte pot_scale_int16:bool=1"),
    "TransposeConvOptions": (49, "padding:byte stride_w:int stride_h:int fused_activation_function:byte"),
    "UnidirectionalSequenceLSTMOptions": (
        71,
        (
            "fused_activation_function:byte cell_clip:float proj_clip:float time_major:bool asymmetric_quantize_inputs:bool "
            "diagonal_recurrent_tensors:bool"
        ),
    ),
    "UnpackOptions": (64, "num:int axis:int"),
    "VarHandleOptions": (111, "container:string shared_name:string"),
}

MODEL = Schema({
    "Model": (
        "version:uint operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string buffers:[Buffer] "
        "metadata_buffer:[int] metadata:[Metadata]"
    ),
    "SubGraph": "tensors:[Tensor] inputs:[int] outputs:[int] operators:[Operator] name:string",
    "Tensor": (
        "shape:[int] type:byte buffer:uint name:string quantization:QuantizationParameters is_variable:bool "
        "sparsity:SparsityParameters shape_signature:[int]"
    ),
    "QuantizationParameters": (
        "min:[float] max:[float] scale:[float] zero_point:[long] details_type:ubyte details:union quantized_dimension:int"
    ),
    "SparsityParameters": "traversal_order:[int] block_map:[int] dim_metadata:[DimensionMetadata]",
    "DimensionMetadata": (
        "format:byte dense_size:int array_segments_type:ubyte array_segments:union array_indices_type:ubyte array_indices:union"
    ),
    "Int32Vector": "values:[int]",
    "Uint16Vector": "values:[ushort]",
    "Uint8Vector": "values:[ubyte]",
    "Operator": (
        "opcode_index:uint inputs:[int] outputs:[int] builtin_options_type:ubyte builtin_options:union custom_options:[ubyte]"
    ),
    "OperatorCode": "deprecated_builtin_code:byte custom_code:string version:int=1 builtin_code:int",
    "Buffer": "data:[ubyte] offset:ulong size:ulong",
    "Metadata": "name:string buffer:uint",
    **{name: fields for name, (_, fields) in OPTIONS.items()},
})  # fmt: skip
