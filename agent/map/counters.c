#include "agent/map/counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The record: a version byte, then numbers of 7 bits a byte, low ones first (varints):
 * taken_ms, the overflow counters, the number of chunks; for each chunk its number of slots, and
 * for each slot a byte whose bit n says that outcome n is not 0, followed by those counters. */
enum {
	RECORD_VERSION = 1,
	VARINT_MAX = 10,
	SLOT_MAX = 1 + LF_OUTCOME_COUNT * VARINT_MAX,
};

void lf_counters_fini(struct lf_counters *counters)
{
	for (uint32_t i = 0; i < counters->chunks; i++)
		free(counters->chunk[i].slot);
	free(counters->chunk);
	memset(counters, 0, sizeof(*counters));
}

struct lf_counts lf_counters_get(const struct lf_counters *counters, uint32_t chunk, uint32_t index)
{
	if (chunk >= counters->chunks || index >= counters->chunk[chunk].slots)
		return (struct lf_counts){ 0 };
	return counters->chunk[chunk].slot[index];
}

static int reserve_chunks(struct lf_counters *counters, uint32_t chunks)
{
	struct lf_chunk_counters *grown;

	if (chunks <= counters->chunks)
		return 0;
	grown = realloc(counters->chunk, chunks * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + counters->chunks, 0, (chunks - counters->chunks) * sizeof(*grown));
	counters->chunk = grown;
	counters->chunks = chunks;
	return 0;
}

int lf_counters_reserve(struct lf_counters *counters, uint32_t chunk, uint32_t slots)
{
	int rc = reserve_chunks(counters, chunk + 1);
	struct lf_chunk_counters *at;
	struct lf_counts *grown;

	if (rc < 0)
		return rc;
	at = &counters->chunk[chunk];
	if (slots <= at->slots)
		return 0;
	grown = realloc(at->slot, slots * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + at->slots, 0, (slots - at->slots) * sizeof(*grown));
	at->slot = grown;
	at->slots = slots;
	return 0;
}

static void raise_counts(struct lf_counts *to, const struct lf_counts *from)
{
	for (unsigned i = 0; i < LF_OUTCOME_COUNT; i++)
		if (to->of[i] < from->of[i])
			to->of[i] = from->of[i];
}

int lf_counters_raise(struct lf_counters *to, const struct lf_counters *from)
{
	if (to->taken_ms < from->taken_ms)
		to->taken_ms = from->taken_ms;
	raise_counts(&to->overflow, &from->overflow);
	for (uint32_t c = 0; c < from->chunks; c++) {
		int rc = lf_counters_reserve(to, c, from->chunk[c].slots);

		if (rc < 0)
			return rc;
		for (uint32_t i = 0; i < from->chunk[c].slots; i++)
			raise_counts(&to->chunk[c].slot[i], &from->chunk[c].slot[i]);
	}
	return 0;
}

static uint64_t sum(const struct lf_counts *counts)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < LF_OUTCOME_COUNT; i++)
		total += counts->of[i];
	return total;
}

uint64_t lf_counters_total(const struct lf_counters *counters)
{
	uint64_t total = sum(&counters->overflow);

	for (uint32_t c = 0; c < counters->chunks; c++)
		for (uint32_t i = 0; i < counters->chunk[c].slots; i++)
			total += sum(&counters->chunk[c].slot[i]);
	return total;
}

static uint8_t *put(uint8_t *out, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*out++ = (uint8_t)(number | 0x80);
	*out++ = (uint8_t)number;
	return out;
}

static uint8_t *put_slot(uint8_t *out, const struct lf_counts *counts)
{
	uint8_t *mask = out++;

	*mask = 0;
	for (unsigned i = 0; i < LF_OUTCOME_COUNT; i++) {
		if (!counts->of[i])
			continue;
		*mask = (uint8_t)(*mask | 1U << i);
		out = put(out, counts->of[i]);
	}
	return out;
}

int lf_counters_encode(const struct lf_counters *counters, uint8_t **out, size_t *bytes)
{
	size_t room = 1 + VARINT_MAX * (2 + LF_OUTCOME_COUNT);
	uint8_t *record, *p;

	for (uint32_t c = 0; c < counters->chunks; c++)
		room += VARINT_MAX + counters->chunk[c].slots * (size_t)SLOT_MAX;
	record = malloc(room);
	if (!record)
		return -ENOMEM;
	p = record;
	*p++ = RECORD_VERSION;
	p = put(p, counters->taken_ms);
	p = put_slot(p, &counters->overflow);
	p = put(p, counters->chunks);
	for (uint32_t c = 0; c < counters->chunks; c++) {
		p = put(p, counters->chunk[c].slots);
		for (uint32_t i = 0; i < counters->chunk[c].slots; i++)
			p = put_slot(p, &counters->chunk[c].slot[i]);
	}
	*out = record;
	*bytes = (size_t)(p - record);
	return 0;
}

struct input {
	const uint8_t *p, *end;
	bool bad; /* set once, then everything reads as 0 */
};

static uint64_t get(struct input *in, uint64_t max)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64 && in->p < in->end && !in->bad; shift += 7) {
		uint8_t byte = *in->p++;

		number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			in->bad = number > max;
			return in->bad ? 0 : number;
		}
	}
	in->bad = true;
	return 0;
}

static void get_slot(struct input *in, struct lf_counts *counts)
{
	uint64_t mask = get(in, (1U << LF_OUTCOME_COUNT) - 1);

	for (unsigned i = 0; i < LF_OUTCOME_COUNT; i++)
		counts->of[i] = mask & 1U << i ? get(in, UINT64_MAX) : 0;
}

static int get_chunk(struct input *in, struct lf_counters *out, uint32_t chunk)
{
	uint32_t slots = (uint32_t)get(in, LF_CHUNK_SLOTS_MAX);
	int rc = lf_counters_reserve(out, chunk, slots);

	for (uint32_t i = 0; rc == 0 && i < slots; i++)
		get_slot(in, &out->chunk[chunk].slot[i]);
	return rc;
}

int lf_counters_decode(struct lf_counters *out, const uint8_t *record, size_t bytes)
{
	struct input in = { record, record + bytes, bytes == 0 || record[0] != RECORD_VERSION };
	uint32_t chunks;
	int rc = 0;

	in.p += !in.bad;
	out->taken_ms = get(&in, UINT64_MAX);
	get_slot(&in, &out->overflow);
	chunks = (uint32_t)get(&in, LF_CHUNKS_MAX);
	for (uint32_t c = 0; rc == 0 && c < chunks && !in.bad; c++)
		rc = get_chunk(&in, out, c);
	if (rc == 0 && (in.bad || in.p != in.end))
		rc = -EBADMSG;
	if (rc < 0)
		lf_counters_fini(out);
	return rc;
}
