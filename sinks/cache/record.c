#include "sinks/cache/record.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "sinks/cache/bytes.h"

/* Where what is, in the bytes of a record. */
enum {
	AT_FORMAT = 1, AT_CLOCK = 2, AT_WRITER = 10, AT_TYPE = 18, AT_FLAGS = 19, AT_CODEC = 20, AT_TAGS = 21,
	AT_EXPIRES = 22, AT_FRESH = 30, AT_REVISION = 38, AT_LOAD = 46, AT_TYPE_STAMP = 50, AT_ORG_STAMP = 58,
	AT_LENGTH = 66, HEAD = 70, TAG_HEAD = 9,

	MAGIC = 'L', FORMAT = 1, FLAGS = LF_RECORD_CRITICAL,
};

enum codec { CODEC_NONE, CODEC_ZSTD };

/* Of a value that is read more often than it is written; the levels above gain a tenth and take twice as long. */
enum { LEVEL = 1 };

/* --- blocks ---------------------------------------------------------------------------------------- */

/* One block for all that the head says and that many bytes of names and value; the tags behind it are the caller's to
 * fill in, and what follows them at *rest. */
static struct lf_record *block_new(const struct lf_record *head, size_t bytes, struct lf_record_tag **tags, char **rest)
{
	size_t fixed = sizeof(*head) + head->tags_count * sizeof(**tags);
	struct lf_record *record = bytes < SIZE_MAX - fixed ? malloc(fixed + bytes) : NULL;

	if (!record)
		return NULL;
	*record = (struct lf_record){
		.type = head->type, .flags = head->flags, .tags_count = head->tags_count, .load_ms = head->load_ms,
		.version = head->version, .expires_ms = head->expires_ms, .fresh_until_ms = head->fresh_until_ms,
		.revision = head->revision, .type_stamp = head->type_stamp, .org_stamp = head->org_stamp,
		.size = fixed + bytes,
	};
	atomic_init(&record->users, 1);
	*tags = (struct lf_record_tag *)(record + 1);
	record->tags = head->tags_count ? *tags : NULL;
	*rest = (char *)record + fixed;
	return record;
}

/* The names of the tags together: at most 255 of what is in memory, so that no sum is too large. */
static size_t names_size(const struct lf_record *record)
{
	size_t size = 0;

	for (unsigned i = 0; i < record->tags_count; i++)
		size += record->tags[i].name.len;
	return size;
}

struct lf_record *lf_record_new(const struct lf_record *from)
{
	size_t names = names_size(from);
	struct lf_record_tag *tags;
	struct lf_record *record;
	char *rest;

	if (from->value.len > SIZE_MAX - names)
		return NULL;
	record = block_new(from, names + from->value.len, &tags, &rest);
	if (!record)
		return NULL;
	for (unsigned i = 0; i < from->tags_count; i++) {
		tags[i] = (struct lf_record_tag){ { rest, from->tags[i].name.len }, from->tags[i].stamp };
		rest = lf_put_text(rest, from->tags[i].name);
	}
	record->value = (struct lf_text){ rest, from->value.len };
	(void)lf_put_text(rest, from->value);
	return record;
}

void lf_record_drop(const struct lf_record *record)
{
	struct lf_record *mine = (struct lf_record *)(uintptr_t)record;

	if (!mine)
		return;
	/* Release: what was read of the record was read before; acquire: the last one frees it after all others. */
	if (atomic_fetch_sub_explicit(&mine->users, 1, memory_order_acq_rel) == 1)
		free(mine);
}

/* --- to bytes -------------------------------------------------------------------------------------- */

static char *put_version(char *out, struct lf_version version)
{
	uint64_t both[2] = { htobe64(version.clock), htobe64(version.writer) };

	return (char *)memcpy(out, both, sizeof(both)) + sizeof(both);
}

/* All but the value. */
static char *put_head(char *out, const struct lf_record *record)
{
	out[0] = MAGIC;
	out[AT_FORMAT] = FORMAT;
	(void)put_version(out + AT_CLOCK, record->version);
	out[AT_TYPE] = (char)record->type;
	out[AT_FLAGS] = (char)record->flags;
	out[AT_CODEC] = CODEC_NONE;
	out[AT_TAGS] = (char)record->tags_count;
	(void)lf_put_64(out + AT_EXPIRES, (uint64_t)record->expires_ms);
	(void)lf_put_64(out + AT_FRESH, (uint64_t)record->fresh_until_ms);
	(void)lf_put_64(out + AT_REVISION, record->revision);
	(void)lf_put_32(out + AT_LOAD, record->load_ms);
	(void)lf_put_64(out + AT_TYPE_STAMP, record->type_stamp);
	(void)lf_put_64(out + AT_ORG_STAMP, record->org_stamp);
	(void)lf_put_32(out + AT_LENGTH, (uint32_t)record->value.len);
	out += HEAD;
	for (unsigned i = 0; i < record->tags_count; i++) {
		out = lf_put_64(out, record->tags[i].stamp);
		*out++ = (char)record->tags[i].name.len;
		out = lf_put_text(out, record->tags[i].name);
	}
	return out;
}

/* How long the value is compressed, with a checksum of it; 0 where that does not make it smaller.  In a context of
 * its own, which zstd makes as small as the value: what threads kept would stay for ever. */
static size_t compress(char *out, struct lf_text value)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t size = 0;

	if (!context)
		return 0;
	if (!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL)) &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)))
		size = ZSTD_compress2(context, out, value.len - 1, value.data, value.len);
	(void)ZSTD_freeCCtx(context);
	return ZSTD_isError(size) ? 0 : size; /* no room is an error, too */
}

static bool encodable(const struct lf_record *record)
{
	if (record->value.len > UINT32_MAX)
		return false;
	for (unsigned i = 0; i < record->tags_count; i++)
		if (record->tags[i].name.len > UINT8_MAX)
			return false;
	return true;
}

int lf_record_encode(const struct lf_record *record, size_t compress_min, char **out, size_t *len)
{
	size_t head = HEAD + record->tags_count * (size_t)TAG_HEAD + names_size(record), packed = 0;
	char *bytes, *value, *smaller;

	if (!encodable(record)) /* over what the format has room for, and so over any value_max */
		return -EFBIG;
	bytes = malloc(head + record->value.len);
	if (!bytes)
		return -ENOMEM;
	value = put_head(bytes, record);
	if (compress_min && record->value.len >= compress_min && record->value.len > 1)
		packed = compress(value, record->value);
	if (packed) {
		bytes[AT_CODEC] = CODEC_ZSTD;
		smaller = realloc(bytes, head + packed);
		bytes = smaller ? smaller : bytes;
	} else {
		(void)lf_put_text(value, record->value);
	}
	*out = bytes;
	*len = head + (packed ? packed : record->value.len);
	return 0;
}

/* --- from bytes ------------------------------------------------------------------------------------ */

static uint64_t get_big(const char *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return be64toh(number);
}

static void get_head(struct lf_record *out, const char *bytes)
{
	*out = (struct lf_record){
		.type = (uint8_t)bytes[AT_TYPE],
		.flags = (uint8_t)bytes[AT_FLAGS],
		.tags_count = (uint8_t)bytes[AT_TAGS],
		.load_ms = lf_get_32(bytes + AT_LOAD),
		.version = { get_big(bytes + AT_CLOCK), get_big(bytes + AT_WRITER) },
		.expires_ms = (int64_t)lf_get_64(bytes + AT_EXPIRES),
		.fresh_until_ms = (int64_t)lf_get_64(bytes + AT_FRESH),
		.revision = lf_get_64(bytes + AT_REVISION),
		.type_stamp = lf_get_64(bytes + AT_TYPE_STAMP),
		.org_stamp = lf_get_64(bytes + AT_ORG_STAMP),
		.value.len = lf_get_32(bytes + AT_LENGTH),
	};
}

static bool head_is_good(const struct lf_record *head)
{
	bool filled = head->type == LF_RECORD_STRING || head->type == LF_RECORD_HASH;

	return (filled || ((head->type == LF_RECORD_NEGATIVE || head->type == LF_RECORD_GONE) && !head->value.len)) &&
	       !(head->flags & ~FLAGS) && head->tags_count <= LF_CACHE_TAGS_MAX && head->expires_ms >= 0 &&
	       head->fresh_until_ms >= 0;
}

/* Steps over the tags; how long their names are together, or SIZE_MAX: they are cut off, or a name is none. */
static size_t measure_tags(struct lf_text bytes, unsigned count, size_t *at)
{
	size_t names = 0, len;

	for (; count; count--) {
		if (bytes.len - *at < TAG_HEAD)
			return SIZE_MAX;
		len = (unsigned char)bytes.data[*at + TAG_HEAD - 1];
		if (!len || len > LF_CACHE_NAME_MAX || bytes.len - *at - TAG_HEAD < len)
			return SIZE_MAX;
		names += len;
		*at += TAG_HEAD + len;
	}
	return names;
}

static char *get_tags(struct lf_record_tag *tags, unsigned count, const char *bytes, char *names)
{
	for (unsigned i = 0; i < count; i++) {
		size_t len = (unsigned char)bytes[TAG_HEAD - 1];

		tags[i] = (struct lf_record_tag){ { names, len }, lf_get_64(bytes) };
		memcpy(names, bytes + TAG_HEAD, len);
		names += len;
		bytes += TAG_HEAD + len;
	}
	return names;
}

/* One frame, which says the same length, with nothing behind it. */
static bool packed_is_good(struct lf_text packed, size_t len)
{
	return ZSTD_getFrameContentSize(packed.data, packed.len) == len &&
	       ZSTD_findFrameCompressedSize(packed.data, packed.len) == packed.len;
}

static bool value_is_good(struct lf_text value, enum codec codec, size_t len, size_t value_max)
{
	if (codec == CODEC_NONE)
		return value.len == len;
	return codec == CODEC_ZSTD && len <= value_max && packed_is_good(value, len);
}

static bool fields_are_good(struct lf_text hash)
{
	struct lf_cache_field field;
	size_t at = 0;

	while (at < hash.len)
		if (!lf_next_field(hash, &at, &field))
			return false;
	return true;
}

static bool get_value(char *out, struct lf_text value, enum codec codec, size_t len)
{
	if (codec == CODEC_ZSTD)
		return ZSTD_decompress(out, len, value.data, value.len) == len;
	(void)lf_put_text(out, value);
	return true;
}

static int corrupt(struct lf_error *err, const char *what)
{
	return lf_fail(err, -EBADMSG, "a record of the cache has %s: was its key written by another program?", what);
}

int lf_record_decode(struct lf_text bytes, size_t value_max, struct lf_record **out, struct lf_error *err)
{
	size_t at = HEAD, names;
	struct lf_record head, *record;
	struct lf_record_tag *tags;
	struct lf_text value;
	enum codec codec;
	char *rest;

	if (bytes.len < HEAD || bytes.data[0] != MAGIC || bytes.data[AT_FORMAT] != FORMAT)
		return corrupt(err, "no head of format 1");
	get_head(&head, bytes.data);
	if (!head_is_good(&head))
		return corrupt(err, "a head that says what cannot be");
	names = measure_tags(bytes, head.tags_count, &at);
	if (names == SIZE_MAX)
		return corrupt(err, "tags that are cut off");
	value = (struct lf_text){ bytes.data + at, bytes.len - at };
	codec = (enum codec)(unsigned char)bytes.data[AT_CODEC];
	if (!value_is_good(value, codec, head.value.len, value_max))
		return corrupt(err, "a value of another length than it says, or over the limit");
	record = block_new(&head, names + head.value.len, &tags, &rest);
	if (!record)
		return lf_fail(err, -ENOMEM, "no memory for a record of %zu bytes", head.value.len);
	rest = get_tags(tags, head.tags_count, bytes.data + HEAD, rest);
	record->value = (struct lf_text){ rest, head.value.len };
	if (!get_value(rest, value, codec, head.value.len) ||
	    (head.type == LF_RECORD_HASH && !fields_are_good(record->value))) {
		lf_record_drop(record);
		return corrupt(err, "a value that is corrupt");
	}
	*out = record;
	return 0;
}
