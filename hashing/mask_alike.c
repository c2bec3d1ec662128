#include "hashing/mask.h"

#include "hashing/mask_scan.h"
#include "hashing/mask_vector.h"

_Static_assert(LF_MASK_ALIKE_MAX % MASK_VECTOR == 0, "whole vectors");

struct alike {
	mask_flags strange; /* set where a byte is that is not treated here */
	uint64_t hash;
};

/* The sixteen bytes at `in`, to `out` with each digit as 0. */
static inline void take(struct alike *alike, const char *in, char *out)
{
	mask_bytes x = mask_load(in);
	mask_bytes digit = (mask_bytes)mask_between(x, '0', '9');
	uint64_t pair[2];

	alike->strange |= ((mask_flags)x < '\t') | (x == 0x1b) | (x == '\\'); /* negative: not ASCII */
	x = (x & ~digit) | ('0' & digit);
	memcpy(out, &x, sizeof(x));
	memcpy(pair, &x, sizeof(pair));
	alike->hash = mask_fold(pair[0] ^ MASK_KEY1, pair[1] ^ alike->hash);
}

bool lf_mask_alike(struct lf_text line, char out[LF_MASK_ALIKE_MAX], uint64_t *hash)
{
	struct alike alike = { .hash = MASK_KEY0 ^ line.len };
	size_t i;

	if (line.len < MASK_VECTOR || line.len > LF_MASK_ALIKE_MAX)
		return false;
	for (i = 0; i + MASK_VECTOR < line.len; i += MASK_VECTOR)
		take(&alike, line.data + i, out + i);
	/* The last ones, maybe once more. */
	i = line.len - MASK_VECTOR;
	take(&alike, line.data + i, out + i);
	*hash = alike.hash;
	return mask_bits(alike.strange) == 0;
}
