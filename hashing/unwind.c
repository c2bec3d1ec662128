#include "hashing/unwind.h"

#include <string.h>

#include "hashing/unwind_rule.h"
#include "hashing/unwind_table.h"

/* Where a function's first instructions end: all that it does before it has stored its arguments. */
enum { PROLOGUE_BYTES = 320 };

#if defined(__x86_64__)

enum {
	CALL_NEAR = 0xe8,
	CALL_INDIRECT = 0xff, /* with 2 in the middle three bits of the next byte */
	TEST_BYTES = 0x84,
	AL_AL = 0xc0,
	JE_SHORT = 0x74,
	TWO_BYTES = 0x0f, /* an opcode goes on in the next byte */
	JE_NEAR = 0x84,
	MOVAPS_STORE = 0x29,
	VEX_SHORT = 0xc5,
	VEX_PLAIN = 0xf8, /* 128 bits, no second operand, xmm0 to xmm7 */
};

/* How long a call through a register or memory is, from its opcode on; 0: it is none. */
static size_t indirect_call_bytes(const uint8_t *code, size_t len)
{
	unsigned mode, base, displacement, has_index;

	if (len < 2 || code[0] != CALL_INDIRECT || (code[1] >> 3 & 7) != 2)
		return 0;
	mode = code[1] >> 6;
	base = code[1] & 7;
	has_index = mode != 3 && base == 4;
	if (has_index && len < 3)
		return 0;
	if (has_index)
		base = code[2] & 7;
	displacement = mode == 1 ? 1 : mode == 2 || (mode == 0 && base == 5) ? 4 : 0;
	return 2 + has_index + displacement;
}

/* Whether a call instruction ends at `offset`. */
static bool is_call_before(const struct lf_unwind_entry *entry, size_t offset)
{
	enum { NEAR_BYTES = 5, INDIRECT_BYTES_MAX = 7 };
	const uint8_t *end = entry->code + offset;

	if (offset >= NEAR_BYTES && end[-NEAR_BYTES] == CALL_NEAR)
		return true;
	for (size_t len = 2; len <= INDIRECT_BYTES_MAX && len <= offset; len++)
		if (indirect_call_bytes(end - len, len) == len)
			return true;
	return false;
}

/* "movaps %xmm0, memory", or its like for another of the eight, also as AVX has it. */
static bool is_xmm_store(const uint8_t *code, const uint8_t *end)
{
	if (end - code >= 3 && code[0] == TWO_BYTES && code[1] == MOVAPS_STORE)
		return code[2] >> 6 != 3;
	return end - code >= 4 && code[0] == VEX_SHORT && code[1] == VEX_PLAIN &&
	       code[2] == MOVAPS_STORE && code[3] >> 6 != 3;
}

/* The caller says in al whether there are floating-point arguments; without any, the stores are
 * jumped over. */
static bool is_variadic(const struct lf_unwind_entry *entry)
{
	size_t len = entry->code_len < PROLOGUE_BYTES ? entry->code_len : PROLOGUE_BYTES;
	const uint8_t *end = entry->code + len;

	for (const uint8_t *code = entry->code; end - code >= 4; code++) {
		if (code[0] != TEST_BYTES || code[1] != AL_AL)
			continue;
		if (code[2] == JE_SHORT && is_xmm_store(code + 4, end))
			return true;
		if (code[2] == TWO_BYTES && code[3] == JE_NEAR && end - code >= 8 &&
		    is_xmm_store(code + 8, end))
			return true;
	}
	return false;
}

static void find_rule(const struct lf_unwind_entry *entry, size_t call, struct lf_unwind *out)
{
	if (!lf_unwind_rule(entry, call, out))
		out->base = LF_UNWIND_NO_RULE;
	if (!lf_unwind_is_entered(entry))
		out->variadic = LF_UNWIND_MAYBE_VARIADIC;
}

#elif defined(__aarch64__)

enum { INSTRUCTION = 4, Q6 = 6, Q7 = 7 };

static uint32_t instruction_at(const uint8_t *code)
{
	uint32_t word;

	memcpy(&word, code, sizeof(word));
	return word;
}

/* bl; blr and its forms that check a signed pointer. */
static bool is_call_before(const struct lf_unwind_entry *entry, size_t offset)
{
	uint32_t word;

	if (offset < INSTRUCTION)
		return false;
	word = instruction_at(entry->code + offset - INSTRUCTION);
	return (word & 0xfc000000) == 0x94000000 || (word & 0xfefff000) == 0xd63f0000;
}

/* The last register that may hold a floating-point argument is stored: "stp q6, q7", "str q7". */
static bool is_variadic(const struct lf_unwind_entry *entry)
{
	size_t len = entry->code_len < PROLOGUE_BYTES ? entry->code_len : PROLOGUE_BYTES;

	for (size_t at = 0; at + INSTRUCTION <= len; at += INSTRUCTION) {
		uint32_t word = instruction_at(entry->code + at);

		if ((word & 0xffc07c1f) == (0xad000000 | Q7 << 10 | Q6) ||
		    (word & 0xffc0001f) == (0x3d800000 | Q7))
			return true;
	}
	return false;
}

static void find_rule(const struct lf_unwind_entry *entry, size_t call, struct lf_unwind *out)
{
	(void)entry;
	(void)call;
	out->base = LF_UNWIND_RECORD;
}

#else

static bool is_call_before(const struct lf_unwind_entry *entry, size_t offset)
{
	(void)entry;
	(void)offset;
	return false;
}

static bool is_variadic(const struct lf_unwind_entry *entry)
{
	(void)entry;
	return false;
}

static void find_rule(const struct lf_unwind_entry *entry, size_t call, struct lf_unwind *out)
{
	(void)entry;
	(void)call;
	(void)out;
}

#endif

struct lf_unwind lf_unwind_of(const void *return_address)
{
	/* A call that never returns may be the last of its function. */
	uintptr_t call = (uintptr_t)return_address - 1;
	struct lf_unwind found = { .base = LF_UNWIND_NO_RULE, .variadic = LF_UNWIND_NOT_VARIADIC };
	struct lf_unwind_entry entry;
	size_t offset;

	if (!lf_unwind_find(call, &entry))
		return found;
	offset = call - (uintptr_t)entry.code;
	found.is_call = is_call_before(&entry, offset + 1);
	if (!found.is_call)
		return found;
	find_rule(&entry, offset, &found);
	if (found.variadic == LF_UNWIND_NOT_VARIADIC && is_variadic(&entry))
		found.variadic = LF_UNWIND_VARIADIC;
	return found;
}
