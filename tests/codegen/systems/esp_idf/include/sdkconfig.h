#define CONFIG_IDF_TARGET "esp32s3"
