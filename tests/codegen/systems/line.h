/* A line of bytes for what stands in for a system: a connection to the socket in EDGEBN_LISTEN_FD, or standard input and output. */
#ifndef LINE_H
#define LINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void line_begin(void); /* before any other; a second time does nothing */
int line_is_ready(void);
uint8_t line_get(void); /* ends the program where the line has ended */
void line_put(uint8_t byte);

#ifdef __cplusplus
}
#endif

#endif
