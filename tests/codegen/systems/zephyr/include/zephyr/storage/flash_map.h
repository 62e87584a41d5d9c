#define FIXED_PARTITION_DEVICE(label) (&the_flash)
#define FIXED_PARTITION_OFFSET(label) 0x8000
#define FIXED_PARTITION_SIZE(label) 0x8000
