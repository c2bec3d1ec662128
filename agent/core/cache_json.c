#include "agent/core/cache_json.h"

#include <inttypes.h>
#include <string.h>

#include "agent/core/json.h"

static void write_text(FILE *out, const char *text)
{
	lf_json_string(out, (struct lf_text){ text, strlen(text) });
}

static void write_number(FILE *out, const char *name, uint64_t value)
{
	/* What a tier does not say is not there. */
	if (value != UINT64_MAX)
		(void)fprintf(out, ",\"%s\":%" PRIu64, name, value);
}

/* ---- Numbers ---- */

static void write_tier(FILE *out, enum lf_cache_tier which, const struct lf_cache_tier_stats *tier)
{
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "hits", tier->hits },           { "misses", tier->misses },         { "stores", tier->stores },
		{ "failures", tier->failures },   { "items", tier->items },           { "bytes", tier->bytes },
		{ "limitBytes", tier->limit_bytes }, { "failovers", tier->failovers }, { "recoveries", tier->recoveries },
		{ "reconnects", tier->reconnects }, { "pings", tier->pings },         { "behind", tier->behind },
	};

	(void)fprintf(out, "{\"name\":\"%s\",\"state\":\"%s\"", lf_cache_tier_name(which),
	              lf_cache_tier_state_name(tier->state));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		write_number(out, numbers[i].name, numbers[i].value);
	(void)fprintf(out, ",\"loadP50Ms\":%.6f,\"loadP99Ms\":%.6f,\"storeP50Ms\":%.6f,\"storeP99Ms\":%.6f,\"trouble\":",
	              tier->load_p50_ms, tier->load_p99_ms, tier->store_p50_ms, tier->store_p99_ms);
	write_text(out, tier->trouble);
	(void)fputc('}', out);
}

void lf_cache_stats_write(FILE *out, const struct lf_cache_stats *stats)
{
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "hits", stats->hits },                 { "misses", stats->misses },
		{ "sets", stats->sets },                 { "deletes", stats->deletes },
		{ "expirations", stats->expirations },   { "evictions", stats->evictions },
		{ "invalidations", stats->invalidations }, { "loads", stats->loads },
		{ "loadFailures", stats->load_failures }, { "loadWaits", stats->load_waits },
		{ "refreshes", stats->refreshes },       { "negativeHits", stats->negative_hits },
		{ "staleHits", stats->stale_hits },      { "items", stats->items },
		{ "bytes", stats->bytes },               { "pending", stats->pending },
		{ "synced", stats->synced },             { "syncBatches", stats->sync_batches },
		{ "syncRetries", stats->sync_retries },
	};

	(void)fprintf(out, "{\"enabled\":%s,\"hitRatePct\":%.2f", stats->enabled ? "true" : "false",
	              stats->hit_rate_pct);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		write_number(out, numbers[i].name, numbers[i].value);
	(void)fputs(",\"tiers\":[", out);
	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		(void)fputs(i ? "," : "", out);
		write_tier(out, (enum lf_cache_tier)i, &stats->tier[i]);
	}
	(void)fputs("]}", out);
}

/* ---- Health ---- */

static void write_tier_health(FILE *out, enum lf_cache_tier which, enum lf_cache_health_state state,
                              const struct lf_cache_tier_stats *tier)
{
	(void)fprintf(out, "{\"name\":\"%s\",\"state\":\"%s\",\"is\":\"%s\",\"loadP50Ms\":%.6f,\"loadP99Ms\":%.6f,\"trouble\":",
	              lf_cache_tier_name(which), lf_cache_health_name(state), lf_cache_tier_state_name(tier->state),
	              tier->load_p50_ms, tier->load_p99_ms);
	write_text(out, tier->trouble);
	(void)fputc('}', out);
}

void lf_cache_health_write(FILE *out, const struct lf_cache_health *health, const struct lf_cache_stats *stats)
{
	bool first = true;

	(void)fprintf(out,
	              "{\"state\":\"%s\",\"enabled\":%s,\"hitRatePct\":%.2f,\"lookups\":%" PRIu64 ",\"items\":%" PRIu64
	              ",\"bytes\":%" PRIu64 ",\"pending\":%" PRIu64 ",\"tiers\":[",
	              lf_cache_health_name(health->state), stats->enabled ? "true" : "false", stats->hit_rate_pct,
	              stats->hits + stats->misses, stats->items, stats->bytes, stats->pending);
	for (int i = 0; i < LF_CACHE_TIERS; i++) {
		if (stats->tier[i].state == LF_CACHE_TIER_OFF)
			continue;
		(void)fputs(first ? "" : ",", out);
		write_tier_health(out, (enum lf_cache_tier)i, health->tier[i], &stats->tier[i]);
		first = false;
	}
	(void)fputs("],\"reason\":", out);
	write_text(out, health->reason);
	(void)fputc('}', out);
}
