/* Sizes of a stack of matrix products; a step of 0 elements repeats one matrix. */
#ifndef EDGEBN_MATRICES_H
#define EDGEBN_MATRICES_H

/* out[s][i][j] = sum over k of a[s][i][k] * b[s][k][j], k < depth */
typedef struct {
    int stacks, rows, depth, columns, a_stack, b_stack;
} edgebn_matrices;

#endif
