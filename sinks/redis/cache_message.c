#include "sinks/redis/cache_message.h"

#include <endian.h>
#include <string.h>

enum { AT_KIND = 8, AT_VERSION = 9, AT_NAME = AT_VERSION + LF_REDIS_VERSION_BYTES };

static const char kinds[] = { [LF_CHANGED_KEY] = 'k', [LF_CHANGED_STAMP] = 's', [LF_CHANGED_PREFIX] = 'p', };

static uint64_t get_big(const char *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return be64toh(number);
}

void lf_redis_put_version(char out[LF_REDIS_VERSION_BYTES], struct lf_version version)
{
	const uint64_t both[2] = { htobe64(version.clock), htobe64(version.writer) };

	memcpy(out, both, sizeof(both));
}

void lf_redis_message_make(struct lf_redis_message *out, uint64_t writer, enum lf_tier_change_kind kind,
                           struct lf_version version, struct lf_text name)
{
	const uint64_t big = htobe64(writer);

	memcpy(out->bytes, &big, sizeof(big));
	out->bytes[AT_KIND] = kinds[kind];
	lf_redis_put_version(out->bytes + AT_VERSION, version);
	memcpy(out->bytes + AT_NAME, name.data, name.len);
	out->len = AT_NAME + name.len;
}

bool lf_redis_message_read(struct lf_text bytes, uint64_t *writer, struct lf_tier_change *out)
{
	const char *kind;

	if (bytes.len <= AT_NAME || bytes.len - AT_NAME > LF_REDIS_NAME_MAX)
		return false;
	kind = memchr(kinds, bytes.data[AT_KIND], sizeof(kinds));
	if (!kind)
		return false;
	*writer = get_big(bytes.data);
	*out = (struct lf_tier_change){
		.kind = (enum lf_tier_change_kind)(kind - kinds),
		.version = { get_big(bytes.data + AT_VERSION), get_big(bytes.data + AT_VERSION + 8) },
		.name = { bytes.data + AT_NAME, bytes.len - AT_NAME },
	};
	return true;
}
