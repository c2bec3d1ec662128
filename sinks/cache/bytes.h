/* Numbers as bytes, and the fields of a hash, as record.h lays them out. */
#ifndef LOGFOLD_SINKS_CACHE_BYTES_H
#define LOGFOLD_SINKS_CACHE_BYTES_H

#include <endian.h>
#include <string.h>

#include "logfold/cache.h"

static inline char *lf_put_32(char *out, uint32_t number)
{
	number = htole32(number);
	return (char *)memcpy(out, &number, sizeof(number)) + sizeof(number);
}

static inline char *lf_put_64(char *out, uint64_t number)
{
	number = htole64(number);
	return (char *)memcpy(out, &number, sizeof(number)) + sizeof(number);
}

static inline char *lf_put_text(char *out, struct lf_text text)
{
	if (text.len)
		memcpy(out, text.data, text.len);
	return out + text.len;
}

static inline uint32_t lf_get_32(const char *bytes)
{
	uint32_t number;

	memcpy(&number, bytes, sizeof(number));
	return le32toh(number);
}

static inline uint64_t lf_get_64(const char *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return le64toh(number);
}

/* A text behind its length; where there is none, whole, at `*at`, false. */
static inline bool lf_next_text(struct lf_text bytes, size_t *at, struct lf_text *out)
{
	size_t len;

	if (*at > bytes.len || bytes.len - *at < sizeof(uint32_t))
		return false;
	len = lf_get_32(bytes.data + *at);
	if (bytes.len - *at - sizeof(uint32_t) < len)
		return false;
	*out = (struct lf_text){ bytes.data + *at + sizeof(uint32_t), len };
	*at += sizeof(uint32_t) + len;
	return true;
}

/* The fields of a hash's value one by one, `*at` from 0 on; false behind the last. */
static inline bool lf_next_field(struct lf_text hash, size_t *at, struct lf_cache_field *out)
{
	return lf_next_text(hash, at, &out->name) && lf_next_text(hash, at, &out->value);
}

static inline size_t lf_field_size(const struct lf_cache_field *field)
{
	return 2 * sizeof(uint32_t) + field->name.len + field->value.len;
}

static inline char *lf_put_field(char *out, const struct lf_cache_field *field)
{
	out = lf_put_text(lf_put_32(out, (uint32_t)field->name.len), field->name);
	return lf_put_text(lf_put_32(out, (uint32_t)field->value.len), field->value);
}

#endif
