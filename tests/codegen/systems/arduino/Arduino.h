/* As much of Arduino's core as the examples use; Print's overloads are those of ArduinoCore-API. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
void setup(void);
void loop(void);
void yield(void);
unsigned long micros(void);
#ifdef __cplusplus
}

class HardwareSerial {
  public:
    void begin(unsigned long baud);
    explicit operator bool() const { return true; }
    int available();
    int read();
    size_t write(uint8_t byte);
    size_t print(const char *text);
    size_t print(char letter);
    size_t print(unsigned char value, int base = 10);
    size_t print(int value, int base = 10);
    size_t print(unsigned int value, int base = 10);
    size_t print(long value, int base = 10);
    size_t print(unsigned long value, int base = 10);
    size_t print(double value, int digits = 2);
    size_t println(const char *text);
};

extern HardwareSerial Serial;
#endif

#endif
