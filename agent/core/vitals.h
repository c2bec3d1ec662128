/* How a part of the agent fares: its last calls, how long they took and which failed.
 *
 * One thread writes; who else wants to know gets a copy.
 */
#ifndef LOGFOLD_CORE_VITALS_H
#define LOGFOLD_CORE_VITALS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"

enum {
	LF_VITALS_CALLS = 128, /* that are remembered */
	LF_VITALS_PROBES = 31,
	LF_VITALS_MEMORY_MS = 60000, /* and for how long an error counts */
};

struct lf_vitals {
	uint64_t calls, errors, probes; /* ever */
	struct {
		int64_t at_ms;
		bool failed;
	} call[LF_VITALS_CALLS];
	uint32_t probe_us[LF_VITALS_PROBES];
};

/* Times are lf_clock_ms(). */
void lf_vitals_note(struct lf_vitals *vitals, bool failed, int64_t now_ms);

/* How long a small round trip took.  Only probes tell the latency: how long a flush takes depends on how
 * much there is to send. */
void lf_vitals_probe(struct lf_vitals *vitals, int64_t us);

/* Of what is remembered; 0 when there is nothing. */
double lf_vitals_error_rate(const struct lf_vitals *vitals, int64_t now_ms); /* % */
double lf_vitals_latency_ms(const struct lf_vitals *vitals); /* median */

enum lf_health {
	LF_HEALTHY,
	LF_DEGRADED,
	LF_CRITICAL,
};

/* The state that a value means: it is bad to be high (or low). */
enum lf_health lf_health_above(double value, const struct lf_threshold *threshold);
enum lf_health lf_health_below(double value, const struct lf_threshold *threshold);
enum lf_health lf_health_worse(enum lf_health a, enum lf_health b);
const char *lf_health_name(enum lf_health health);

#endif
