#include "Arduino.h"

#include <stdio.h>
#include <time.h>

#include "../line.h"

HardwareSerial Serial;

void yield(void) {}

unsigned long micros(void) { return static_cast<unsigned long>(clock()); }

void HardwareSerial::begin(unsigned long) { line_begin(); }

int HardwareSerial::available() { return line_is_ready(); }

int HardwareSerial::read() { return line_get(); }

size_t HardwareSerial::write(uint8_t byte) {
    line_put(byte);
    return 1;
}

size_t HardwareSerial::print(const char *text) {
    for (const char *letter = text; *letter != '\0'; letter++) {
        line_put(static_cast<uint8_t>(*letter));
    }
    return strlen(text);
}

size_t HardwareSerial::print(char letter) { return write(static_cast<uint8_t>(letter)); }

size_t HardwareSerial::print(unsigned char value, int base) { return print(static_cast<unsigned long>(value), base); }

size_t HardwareSerial::print(int value, int base) { return print(static_cast<long>(value), base); }

size_t HardwareSerial::print(unsigned int value, int base) { return print(static_cast<unsigned long>(value), base); }

size_t HardwareSerial::print(long value, int) {
    char text[24];
    snprintf(text, sizeof text, "%ld", value);
    return print(text);
}

size_t HardwareSerial::print(unsigned long value, int) { return print(static_cast<long>(value), 10); }

size_t HardwareSerial::print(double value, int digits) {
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    return print(text);
}

size_t HardwareSerial::println(const char *text) { return print(text) + print("\r\n"); }

int main() {
    setup();
    for (;;) {
        loop();
    }
}
