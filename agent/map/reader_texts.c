/* The texts of a segment: read again when they are asked for. */
#include <errno.h>
#include <string.h>

#include "agent/map/reader_internal.h"
#include "hashing/entry_id.h"
#include "hashing/hex.h"
#include "hashing/module.h"
#include "hashing/utf8.h"

/* Whether `bytes` bytes at `ref` lie in what its chunk has handed out for text by now. */
static int check_ref(const struct lf_reader *reader, lf_ref ref, size_t bytes, struct lf_error *err)
{
	uint32_t chunk = ref / LF_CHUNK_BYTES, offset = ref % LF_CHUNK_BYTES;
	uint64_t used;
	int rc;

	if (ref == 0 || ref % 2 || chunk >= reader->header.chunks)
		return lf_reader_bad("a reference points outside of it", err);
	rc = lf_reader_used(reader, chunk, &used, err);
	if (rc < 0)
		return rc;
	if (offset < LF_CHUNK_BYTES - lf_chunk_used_text(used) || offset + bytes > LF_CHUNK_BYTES)
		return lf_reader_bad("a reference does not point at text", err);
	return 0;
}

/* Copies a string of at most `max` bytes to *room and moves *room behind it. */
static int read_bytes(const struct lf_reader *reader, lf_ref ref, size_t max, char **room,
                      struct lf_text *out, struct lf_error *err)
{
	uint16_t len;
	int rc = check_ref(reader, ref, sizeof(len), err);

	if (rc == 0)
		rc = lf_reader_exactly(reader, &len, sizeof(len), ref, err);
	if (rc < 0)
		return rc;
	if (len > max || ref % LF_CHUNK_BYTES + sizeof(len) + len > LF_CHUNK_BYTES)
		return lf_reader_bad("a text is longer than it can be", err);
	rc = lf_reader_exactly(reader, *room, len, (off_t)ref + (off_t)sizeof(len), err);
	if (rc < 0)
		return rc;
	*out = (struct lf_text){ *room, len };
	*room += len;
	return 0;
}

static int read_string(const struct lf_reader *reader, lf_ref ref, size_t max, char **room,
                       struct lf_text *out, struct lf_error *err)
{
	int rc = read_bytes(reader, ref, max, room, out, err);

	if (rc == 0 && !lf_utf8_is_clean(*out))
		rc = lf_reader_bad("a text is not valid UTF-8", err);
	return rc;
}

int lf_reader_texts(const struct lf_reader *reader, const struct lf_slot_facts *slot,
                      struct lf_reader_entry *out, struct lf_error *err)
{
	char *room = out->room;
	int rc = read_string(reader, slot->method, LF_METHOD_MAX, &room, &out->identity.method, err);

	if (rc == 0)
		rc = read_string(reader, slot->template, LF_TEMPLATE_MAX, &room,
		                 &out->identity.template, err);
	if (rc == 0)
		rc = read_string(reader, slot->frame, LF_FRAME_MAX, &room, &out->identity.frame, err);
	if (rc < 0)
		return rc;
	if (slot->kind >= LF_KIND_COUNT)
		return lf_reader_bad("an entry is of no known kind", err);
	out->kind = (enum lf_kind)slot->kind;
	out->first_seen_ms = slot->first_seen_ms;
	lf_entry_id(&out->identity, &out->id);
	return 0;
}

int lf_reader_entry(struct lf_reader *reader, uint32_t chunk, uint32_t index,
                    struct lf_reader_entry *out, struct lf_error *err)
{
	const struct lf_slot_facts *slot = lf_reader_slot(reader, chunk, index);

	return slot ? lf_reader_texts(reader, slot, out, err) : lf_reader_bad("there is no such entry", err);
}

/* ---- Where an entry comes from ---- */

static bool is_build_id(const char *text, size_t len)
{
	if (len == 0 || len > LF_BUILD_ID_CHARS || len % 2)
		return false;
	for (size_t i = 0; i < len; i++)
		if (lf_hex_digit(text[i]) < 0)
			return false;
	return true;
}

/* "BUILDID PATH": the space becomes the end of the build id. */
static int take_module(char *text, struct lf_reader_source *out)
{
	size_t len = strcspn(text, " ");

	if (text[len] == '\0' || text[len + 1] != '/' || !is_build_id(text, len))
		return 0;
	text[len] = '\0';
	out->build_id = text;
	out->path = text + len + 1;
	return 1;
}

uint64_t lf_reader_source_key(const struct lf_reader *reader, uint32_t chunk, uint32_t index)
{
	const struct lf_slot_facts *slot = lf_reader_slot(reader, chunk, index);

	return slot && slot->source ? (uint64_t)slot->source << 32 | slot->source_at : 0;
}

int lf_reader_source(struct lf_reader *reader, uint32_t chunk, uint32_t index,
                     struct lf_reader_source *out, struct lf_error *err)
{
	const struct lf_slot_facts *slot = lf_reader_slot(reader, chunk, index);
	char *room = out->room;
	struct lf_text text;
	int rc;

	if (!slot || !slot->source)
		return 0;
	rc = read_bytes(reader, slot->source, sizeof(out->room) - 1, &room, &text, err);
	if (rc < 0)
		return rc;
	out->room[text.len] = '\0';
	out->at = slot->source_at;
	if (!lf_utf8_is_clean(text) || text.len < 2)
		return 0;
	if (out->room[0] != '=')
		return take_module(out->room, out);
	out->build_id = NULL;
	out->path = out->room + 1;
	return out->at > 0;
}

/* ---- Tails ---- */

int lf_reader_tail(struct lf_reader *reader, unsigned i, struct lf_reader_tail *out,
                   struct lf_error *err)
{
	lf_ref ref = atomic_load_explicit(&reader->header.tails[i], memory_order_relaxed);
	struct lf_tail tail;
	char *room = out->room;
	uint32_t state;
	int rc;

	if (ref == 0)
		return 0;
	rc = check_ref(reader, ref, sizeof(tail), err);
	if (rc == 0)
		rc = lf_reader_exactly(reader, &tail, sizeof(tail), ref, err);
	if (rc < 0)
		return rc;
	state = atomic_load_explicit(&tail.state, memory_order_relaxed);
	if (!(state & LF_TAIL_BEGUN) || (state & LF_TAIL_COUNTED))
		return 0;
	if (lf_tail_outcome(state) >= LF_OUTCOME_COUNT)
		return lf_reader_bad("an unfinished line has an outcome that there is none of", err);
	out->outcome = (enum lf_outcome)lf_tail_outcome(state);
	out->overflow = tail.method == 0;
	if (out->overflow)
		return 1;
	if ((state & LF_TAIL_LEN) > LF_TAIL_BYTES)
		return lf_reader_bad("an unfinished line is longer than it can be", err);
	rc = read_string(reader, tail.method, LF_METHOD_MAX, &room, &out->method, err);
	if (rc == 0)
		rc = read_string(reader, tail.frame, LF_FRAME_MAX, &room, &out->frame, err);
	if (rc < 0)
		return rc;
	memcpy(out->bytes, tail.bytes, state & LF_TAIL_LEN);
	out->line = (struct lf_text){ out->bytes, state & LF_TAIL_LEN };
	return 1;
}
