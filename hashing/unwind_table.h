/* The entry of an unwind table that covers an address, taken apart.  For unwind.c alone. */
#ifndef LOGFOLD_HASHING_UNWIND_TABLE_H
#define LOGFOLD_HASHING_UNWIND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a file in memory, read from the front.  Reading beyond the end gives 0 and leaves `bad`. */
struct lf_bytes {
	const uint8_t *at, *end;
	bool bad;
};

uint8_t lf_bytes_u8(struct lf_bytes *bytes);
uint16_t lf_bytes_u16(struct lf_bytes *bytes);
uint32_t lf_bytes_u32(struct lf_bytes *bytes);
uint64_t lf_bytes_u64(struct lf_bytes *bytes);
uint64_t lf_bytes_uleb(struct lf_bytes *bytes);
int64_t lf_bytes_sleb(struct lf_bytes *bytes);
struct lf_bytes lf_bytes_take(struct lf_bytes *bytes, uint64_t len);

struct lf_unwind_entry {
	const uint8_t *code; /* of the function; readable, in an executable segment */
	size_t code_len;
	struct lf_bytes first, rest; /* the program: what all functions of its kind begin with, its own */
	uint64_t code_unit;
	int64_t data_unit;
	uint64_t return_register;
};

/* False: there is no table, none that is understood, no entry, or it is that of a signal frame. */
bool lf_unwind_find(uintptr_t address, struct lf_unwind_entry *out);

#endif
