#include "sinks/redis/room.h"

#include <string.h>

void lf_redis_key_make(struct lf_redis_key *key, const struct lf_text *parts, size_t count)
{
	key->len = 0;
	for (size_t i = 0; i < count; i++) {
		size_t room = sizeof(key->text) - key->len, len = parts[i].len;

		if (len > room)
			len = room;
		if (len > 0)
			memcpy(key->text + key->len, parts[i].data, len);
		key->len += len;
	}
}

void lf_redis_key_entry(struct lf_redis_key *key, struct lf_text namespace, struct lf_text hash)
{
	const struct lf_text parts[] = { LF_REDIS_WORD("logfold:"), namespace,
		                             LF_REDIS_WORD(":entry:{"), hash, LF_REDIS_WORD("}") };

	lf_redis_key_make(key, parts, 5);
}

void lf_redis_key_flags(struct lf_redis_key *key, struct lf_text namespace)
{
	const struct lf_text parts[] = { LF_REDIS_WORD("logfold:"), namespace, LF_REDIS_WORD(":flags") };

	lf_redis_key_make(key, parts, 3);
}

void lf_redis_key_writer(struct lf_redis_key *key, const struct lf_sink_options *options)
{
	const struct lf_text parts[] = { LF_REDIS_WORD("logfold:"), lf_redis_text(options->namespace),
		                             LF_REDIS_WORD(":writer:"),
		                             lf_redis_text(options->incarnation) };

	lf_redis_key_make(key, parts, 4);
}

bool lf_redis_is_hash(struct lf_text text)
{
	if (text.len != LF_HASH_CHARS)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789abcdef", text.data[i]) || !text.data[i])
			return false;
	return true;
}

bool lf_redis_key_hash(struct lf_text key, struct lf_text namespace, struct lf_text *hash)
{
	struct lf_redis_key empty;
	size_t before;

	lf_redis_key_entry(&empty, namespace, (struct lf_text){ "", 0 });
	before = empty.len - 1;
	if (key.len != empty.len + LF_HASH_CHARS || memcmp(key.data, empty.text, before) != 0 ||
	    key.data[key.len - 1] != '}')
		return false;
	*hash = (struct lf_text){ key.data + before, LF_HASH_CHARS };
	return lf_redis_is_hash(*hash);
}
