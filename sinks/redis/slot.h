/* Which of the 16384 slots of a Redis Cluster a key is in: CRC16 (XMODEM) over the key, or over what
 * stands between its first { and the next }, unless that is empty. */
#ifndef LOGFOLD_SINKS_REDIS_SLOT_H
#define LOGFOLD_SINKS_REDIS_SLOT_H

#include <stddef.h>
#include <stdint.h>

enum { LF_REDIS_SLOTS = 16384 };

uint16_t lf_redis_crc16(const char *data, size_t len);
uint16_t lf_redis_slot(const char *key, size_t len);

#endif
