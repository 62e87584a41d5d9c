#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"
#include "freertos/FreeRTOS.h"
typedef enum { UART_NUM_0 } uart_port_t;
esp_err_t uart_driver_install(uart_port_t port, int rx, int tx, int queue_size, void **queue, int flags);
esp_err_t uart_set_baudrate(uart_port_t port, uint32_t baud);
int uart_write_bytes(uart_port_t port, const void *bytes, size_t count);
int uart_read_bytes(uart_port_t port, void *bytes, uint32_t count, TickType_t wait);
