/* Calls to the sink, and what becomes of their failures. */
#include <string.h>

#include "agent/core/shipper_internal.h"
#include "hashing/clock.h"

enum { STORE_RETRY_MS = 1000 };

int lf_shipper_timeout(const struct lf_shipper *shipper)
{
	int64_t timeout = shipper->options.tier->timeout_ms, left;

	if (!atomic_load(&shipper->stopping))
		return (int)timeout;
	left = atomic_load(&shipper->deadline_ms) - lf_clock_ms();
	return left < 1 ? 1 : left < timeout ? (int)left : (int)timeout;
}

static void tell(const struct lf_shipper *shipper, char said[512], const char *sentence)
{
	if (strcmp(said, sentence) == 0)
		return;
	lf_say(&shipper->options.reporter, "%s: %s", shipper->options.name, sentence);
	(void)snprintf(said, 512, "%s", sentence);
}

/* Without a rest, what is due and fails at once would be tried again at once. */
void lf_shipper_trouble(struct lf_shipper *shipper, const char *sentence)
{
	tell(shipper, shipper->store_said, sentence);
	shipper->rest_ms = lf_clock_ms() + STORE_RETRY_MS;
	(void)pthread_mutex_lock(&shipper->lock);
	(void)snprintf(shipper->status.trouble, sizeof(shipper->status.trouble), "%s", sentence);
	(void)pthread_mutex_unlock(&shipper->lock);
}

static void note_success(struct lf_shipper *shipper)
{
	bool was_open = lf_breaker_is_open(&shipper->breaker);

	lf_breaker_succeeded(&shipper->breaker);
	shipper->succeeded_ms = lf_clock_ms();
	if (was_open)
		lf_say(&shipper->options.reporter, "%s: back again; what it missed is being sent",
		       shipper->options.name);
	shipper->said[0] = '\0';
}

/* A short failure heals by itself and is no news; one that lasts is, and so is one that no time heals. */
static void note_failure(struct lf_shipper *shipper, enum lf_sink_result result,
                         const struct lf_error *err)
{
	lf_breaker_failed(&shipper->breaker, lf_clock_ms());
	shipper->greeted = shipper->watching = false;
	if (result == LF_SINK_REJECTED || lf_breaker_is_open(&shipper->breaker))
		tell(shipper, shipper->said, err->text);
}

bool lf_shipper_took(struct lf_shipper *shipper, enum lf_sink_result result,
                     const struct lf_error *err)
{
	bool done = result == LF_SINK_DONE;

	if (done)
		note_success(shipper);
	else
		note_failure(shipper, result, err);
	(void)pthread_mutex_lock(&shipper->lock);
	lf_vitals_note(&shipper->status.vitals, !done, lf_clock_ms());
	shipper->status.connected = done;
	shipper->status.open = lf_breaker_is_open(&shipper->breaker);
	(void)snprintf(shipper->status.trouble, sizeof(shipper->status.trouble), "%s",
	               done ? "" : err->text);
	(void)pthread_mutex_unlock(&shipper->lock);
	return done;
}
