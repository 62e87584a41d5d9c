#ifndef ZEPHYR_DEVICE_H
#define ZEPHYR_DEVICE_H
#include <stdbool.h>
struct device {
    const char *name;
};
extern const struct device the_console, the_flash;
#define DT_CHOSEN(name) the_##name
#define the_zephyr_console the_console
#define DEVICE_DT_GET(node) (&node)
bool device_is_ready(const struct device *device);
#endif
