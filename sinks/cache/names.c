/* What things are called where people read them. */
#include "logfold/cache.h"

static const char *name_of(const char *const *names, size_t count, unsigned number)
{
	return number < count ? names[number] : "unknown";
}

#define NAME_OF(names, number) name_of(names, sizeof(names) / sizeof(*(names)), (unsigned)(number))

const char *lf_cache_tier_name(enum lf_cache_tier tier)
{
	static const char *const names[LF_CACHE_TIERS] = { "memory", "sqlite", "redis", "mongo" };

	return NAME_OF(names, tier);
}

const char *lf_cache_event_name(enum lf_cache_event event)
{
	static const char *const names[LF_CACHE_EVENTS] = { "hit", "miss", "set", "delete", "expire", "evict",
		                                            "invalidate", "failover", "recover" };

	return NAME_OF(names, event);
}

const char *lf_cache_health_name(enum lf_cache_health_state state)
{
	static const char *const names[] = { "healthy", "degraded", "critical" };

	return NAME_OF(names, state);
}

const char *lf_cache_tier_state_name(enum lf_cache_tier_state state)
{
	static const char *const names[] = { "off", "up", "away", "switched off" };

	return NAME_OF(names, state);
}
