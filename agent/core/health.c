#include "agent/core/health.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/cache_json.h"
#include "agent/core/json.h"
#include "hashing/clock.h"

enum {
	ENOUGH_CALLS = 1000, /* every message is new once: before that a hit rate says nothing */
	MIB = 1024 * 1024,
};

static struct lf_text text_of(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

/* From /proc, as nothing else tells what is resident. */
static int64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*s %lld", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static void write_state(FILE *out, enum lf_health state)
{
	(void)fprintf(out, "\"state\":\"%s\"", lf_health_name(state));
}

/* ---- The parts; each writes its object and returns its state ---- */

static enum lf_health write_agent(FILE *out, const struct lf_config *config, int64_t uptime_ms)
{
	int64_t used = resident_bytes(), limit = config->health.memory_limit_mb * MIB;
	enum lf_health state =
		lf_health_above(100.0 * (double)used / (double)limit, &config->health.memory);

	(void)fputs("\"agent\":{", out);
	write_state(out, state);
	(void)fprintf(out,
	              ",\"pid\":%d,\"uptimeSeconds\":%" PRId64 ",\"memoryBytes\":%" PRId64
	              ",\"memoryLimitBytes\":%" PRId64 "}",
	              (int)getpid(), uptime_ms / 1000, used, limit);
	return state;
}

static enum lf_health write_maps(FILE *out, const struct lf_config *config, struct lf_agent *agent)
{
	struct lf_agent_tally tally;
	enum lf_health state = LF_HEALTHY;
	uint64_t missed;
	double hit_rate;

	lf_agent_tally(agent, &tally);
	missed = tally.first_sights + tally.overflow;
	hit_rate = tally.calls ? 100.0 * (double)(tally.calls - (missed < tally.calls ? missed : tally.calls)) /
	                                 (double)tally.calls : 100.0;
	if (tally.calls >= ENOUGH_CALLS)
		state = lf_health_below(hit_rate, &config->health.hit_rate);
	(void)fputs("\"maps\":{", out);
	write_state(out, state);
	(void)fprintf(out,
	              ",\"hitRatePct\":%.2f,\"calls\":%" PRIu64 ",\"firstSights\":%" PRIu64
	              ",\"overflow\":%" PRIu64 ",\"segments\":%zu}",
	              hit_rate, tally.calls, tally.first_sights, tally.overflow, tally.segments);
	return state;
}

static enum lf_health write_store(FILE *out, struct lf_agent *agent)
{
	const char *trouble = lf_agent_trouble(agent);
	enum lf_health state = trouble[0] ? LF_CRITICAL : LF_HEALTHY;

	(void)fputs("\"store\":{", out);
	write_state(out, state);
	(void)fputs(",\"path\":", out);
	lf_json_string(out, text_of(lf_agent_store_path(agent)));
	(void)fputs(",\"trouble\":", out);
	lf_json_string(out, text_of(trouble));
	(void)fputc('}', out);
	return state;
}

static enum lf_health judge_tier(const struct lf_config *config, const struct lf_tier_status *tier,
                                 double error_rate, double latency_ms)
{
	enum lf_health state = tier->open ? LF_CRITICAL : LF_HEALTHY;

	state = lf_health_worse(state, lf_health_above(error_rate, &config->health.error_rate));
	state = lf_health_worse(state, lf_health_above(latency_ms, &config->health.latency_ms));
	if (tier->limit_bytes > 0)
		state = lf_health_worse(state, lf_health_above(100.0 * (double)tier->used_bytes /
		                                                       (double)tier->limit_bytes,
		                                               &config->health.memory));
	/* It has not been reached yet: that is no failure, but it does not work either. */
	return !tier->connected && tier->vitals.calls == 0 ? lf_health_worse(state, LF_DEGRADED) : state;
}

static enum lf_health write_tier(FILE *out, const struct lf_config *config,
                                 const struct lf_tier_status *tier)
{
	double error_rate = lf_vitals_error_rate(&tier->vitals, lf_clock_ms());
	double latency_ms = lf_vitals_latency_ms(&tier->vitals);
	enum lf_health state = judge_tier(config, tier, error_rate, latency_ms);

	(void)fprintf(out, "{\"name\":\"%s\",", tier->name);
	write_state(out, state);
	(void)fprintf(out,
	              ",\"connected\":%s,\"down\":%s,\"errorRatePct\":%.2f,\"latencyMs\":%.3f"
	              ",\"waiting\":%" PRIu64 ",\"calls\":%" PRIu64 ",\"errors\":%" PRIu64,
	              tier->connected ? "true" : "false", tier->open ? "true" : "false", error_rate,
	              latency_ms, tier->waiting, tier->vitals.calls, tier->vitals.errors);
	if (tier->since_success_ms >= 0)
		(void)fprintf(out, ",\"sinceSuccessMs\":%" PRId64, tier->since_success_ms);
	if (tier->used_bytes >= 0)
		(void)fprintf(out, ",\"memoryBytes\":%" PRId64 ",\"memoryLimitBytes\":%" PRId64,
		              tier->used_bytes, tier->limit_bytes);
	(void)fputs(",\"trouble\":", out);
	lf_json_string(out, text_of(tier->trouble));
	(void)fputc('}', out);
	return state;
}

static enum lf_health write_tiers(FILE *out, const struct lf_config *config, struct lf_tiers *tiers)
{
	enum lf_health worst = LF_HEALTHY;
	struct lf_tier_status status;

	(void)fputs("\"tiers\":[", out);
	for (size_t i = 0; i < lf_tiers_count(tiers); i++) {
		lf_tiers_status(tiers, i, &status);
		if (i)
			(void)fputc(',', out);
		worst = lf_health_worse(worst, write_tier(out, config, &status));
	}
	(void)fputc(']', out);
	return worst;
}

enum lf_health lf_health_write_cache(FILE *out, const struct lf_cached_state *cache)
{
	struct lf_cache_health health = cache->health;
	enum lf_health state = LF_HEALTHY;

	if (cache->open) {
		if (cache->trouble[0]) /* its servers' */
			(void)snprintf(health.reason, sizeof(health.reason), "%.255s", cache->trouble);
		if (health.state > LF_CACHE_DEGRADED || cache->trouble[0])
			health.state = LF_CACHE_DEGRADED;
		state = health.state == LF_CACHE_HEALTHY ? LF_HEALTHY : LF_DEGRADED;
		lf_cache_health_write(out, &health, &cache->stats);
		return state;
	}
	if (cache->on && cache->trouble[0])
		state = LF_DEGRADED;
	(void)fputc('{', out);
	write_state(out, state);
	(void)fputs(",\"enabled\":false,\"tiers\":[],\"reason\":", out);
	lf_json_string(out, text_of(!cache->on         ? "the configuration says so" :
	                            cache->trouble[0] ? cache->trouble :
	                                                "it is being opened"));
	(void)fputc('}', out);
	return state;
}

void lf_health_write(FILE *out, const struct lf_config *config, struct lf_agent *agent,
                     struct lf_tiers *tiers, const struct lf_cached_state *cache, int64_t uptime_ms)
{
	enum lf_health worst;

	(void)fputc('{', out);
	worst = write_agent(out, config, uptime_ms);
	(void)fputc(',', out);
	worst = lf_health_worse(worst, write_maps(out, config, agent));
	(void)fputc(',', out);
	worst = lf_health_worse(worst, write_store(out, agent));
	(void)fputc(',', out);
	worst = lf_health_worse(worst, write_tiers(out, config, tiers));
	(void)fputs(",\"cache\":", out);
	worst = lf_health_worse(worst, lf_health_write_cache(out, cache));
	(void)fputc(',', out);
	write_state(out, worst);
	(void)fputs("}\n", out);
}
