#ifndef LF_FAKE_TIER_FIXTURE_H
#define LF_FAKE_TIER_FIXTURE_H

#include "sinks/cache/tier.h"

/* A server of cache_fixture.h as a tier: which one, the url says. */
extern const struct lf_tier_ops fake_tier;

#endif
