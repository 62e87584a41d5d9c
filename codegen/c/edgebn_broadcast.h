/* How two operands of (height, width, channels) meet: a stride of 0 repeats an operand along that axis. */
#ifndef EDGEBN_BROADCAST_H
#define EDGEBN_BROADCAST_H

typedef struct {
    int height, width, channels; /* of the output */
    int a_y, a_x, a_c;           /* elements from one row, column, channel of the first operand to the next */
    int b_y, b_x, b_c;
} edgebn_broadcast;

#endif
