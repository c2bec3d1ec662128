#include "agent/core/vitals.h"

#include <stdlib.h>
#include <string.h>

void lf_vitals_note(struct lf_vitals *vitals, bool failed, int64_t now_ms)
{
	unsigned at = vitals->calls++ % LF_VITALS_CALLS;

	vitals->call[at].failed = failed;
	vitals->call[at].at_ms = now_ms;
	vitals->errors += failed;
}

void lf_vitals_probe(struct lf_vitals *vitals, int64_t us)
{
	vitals->probe_us[vitals->probes++ % LF_VITALS_PROBES] =
		us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

double lf_vitals_error_rate(const struct lf_vitals *vitals, int64_t now_ms)
{
	uint64_t count = vitals->calls < LF_VITALS_CALLS ? vitals->calls : LF_VITALS_CALLS;
	unsigned recent = 0, failed = 0;

	for (uint64_t i = 0; i < count; i++) {
		if (now_ms - vitals->call[i].at_ms > LF_VITALS_MEMORY_MS)
			continue;
		recent++;
		failed += vitals->call[i].failed;
	}
	return recent ? 100.0 * failed / recent : 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

double lf_vitals_latency_ms(const struct lf_vitals *vitals)
{
	size_t count = vitals->probes < LF_VITALS_PROBES ? vitals->probes : LF_VITALS_PROBES;
	uint32_t sorted[LF_VITALS_PROBES];

	memcpy(sorted, vitals->probe_us, sizeof(sorted));
	qsort(sorted, count, sizeof(*sorted), compare);
	return count ? sorted[count / 2] / 1000.0 : 0;
}

enum lf_health lf_health_above(double value, const struct lf_threshold *threshold)
{
	if (value >= (double)threshold->critical)
		return LF_CRITICAL;
	return value >= (double)threshold->degraded ? LF_DEGRADED : LF_HEALTHY;
}

enum lf_health lf_health_below(double value, const struct lf_threshold *threshold)
{
	if (value < (double)threshold->critical)
		return LF_CRITICAL;
	return value < (double)threshold->degraded ? LF_DEGRADED : LF_HEALTHY;
}

enum lf_health lf_health_worse(enum lf_health a, enum lf_health b)
{
	return a > b ? a : b;
}

const char *lf_health_name(enum lf_health health)
{
	static const char *const names[] = { "healthy", "degraded", "critical" };

	return names[health];
}
