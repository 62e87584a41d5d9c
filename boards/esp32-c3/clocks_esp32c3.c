/* ESP32-C3: the watchdogs that its boot ROM leaves running are stopped; the core stays at half its crystal, 20 MHz. */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RTC_WATCHDOG REGISTER(0x60008090u)
#define RTC_WATCHDOG_LOCK REGISTER(0x600080A8u)
#define SUPER_WATCHDOG REGISTER(0x600080ACu)
#define SUPER_WATCHDOG_LOCK REGISTER(0x600080B0u)
#define TIMER0_WATCHDOG REGISTER(0x6001F048u)
#define TIMER0_WATCHDOG_LOCK REGISTER(0x6001F064u)
#define UNLOCK 0x50D83AA1u
#define UNLOCK_SUPER 0x8F1D312Au
#define FEEDS_ITSELF (1u << 31)

void board_clocks_init(void) {
    TIMER0_WATCHDOG_LOCK = UNLOCK;
    TIMER0_WATCHDOG = 0;
    RTC_WATCHDOG_LOCK = UNLOCK;
    RTC_WATCHDOG = 0;
    SUPER_WATCHDOG_LOCK = UNLOCK_SUPER;
    SUPER_WATCHDOG |= FEEDS_ITSELF;
}
