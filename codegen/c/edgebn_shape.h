/* The sizes of a windowed operation, as literals at the call. */
#ifndef EDGEBN_SHAPE_H
#define EDGEBN_SHAPE_H

/* A convolution of (height, width, channels) into (out_height, out_width, out_channels). */
typedef struct {
    int height, width, channels;
    int kernel_height, kernel_width;
    int stride_y, stride_x;
    int dilation_y, dilation_x;
    int top, left; /* padding */
    int out_height, out_width, out_channels;
    int groups;
    int zero_point; /* of the input: what padding reads */
} edgebn_conv_shape;

/* A pooling window over (height, width, channels). Padding before row 0 is `top`; rows and columns up to `counted_bottom` and
   `counted_right` past the end count in an average where `count_padding`. */
typedef struct {
    int height, width, channels;
    int kernel_height, kernel_width;
    int stride_y, stride_x;
    int dilation_y, dilation_x;
    int top, left;
    int out_height, out_width;
    int is_max;
    int count_padding;
    int counted_bottom, counted_right;
    int zero_point;   /* the code that padding has in an average */
    int ties; /* of an average that keeps its scale, where they go; 0: away from zero, 1: to the even code, 2: to the odd one */
} edgebn_pool_shape;

#endif
