#include "agent/core/vitals.h"

#include <criterion/criterion.h>

static struct lf_vitals vitals;

static void note(int good, int bad, int64_t now_ms)
{
	for (int i = 0; i < good; i++)
		lf_vitals_note(&vitals, false, now_ms);
	for (int i = 0; i < bad; i++)
		lf_vitals_note(&vitals, true, now_ms);
}

Test(vitals, without_a_call_nothing_is_wrong)
{
	cr_assert_float_eq(lf_vitals_error_rate(&vitals, 0), 0, 1e-9);
	cr_assert_float_eq(lf_vitals_latency_ms(&vitals), 0, 1e-9);
}

Test(vitals, the_error_rate_is_that_of_the_last_calls)
{
	note(30, 10, 0);
	cr_assert_float_eq(lf_vitals_error_rate(&vitals, 0), 25, 1e-9);
	note(LF_VITALS_CALLS, 0, 0);
	cr_assert_float_eq(lf_vitals_error_rate(&vitals, 0), 0, 1e-9);
	cr_assert_eq(vitals.errors, 10);
	cr_assert_eq(vitals.calls, 40 + LF_VITALS_CALLS);
}

Test(vitals, an_error_is_forgiven_after_a_minute)
{
	note(1, 9, 1000);
	note(10, 0, 1000 + LF_VITALS_MEMORY_MS);
	cr_assert_float_eq(lf_vitals_error_rate(&vitals, 1000 + LF_VITALS_MEMORY_MS), 45, 1e-9);
	cr_assert_float_eq(lf_vitals_error_rate(&vitals, 1001 + LF_VITALS_MEMORY_MS), 0, 1e-9);
}

Test(vitals, the_latency_is_the_median_of_the_last_probes)
{
	for (int us = 1; us <= 9; us++)
		lf_vitals_probe(&vitals, us * 1000);
	cr_assert_float_eq(lf_vitals_latency_ms(&vitals), 5, 1e-9);
	for (int i = 0; i < LF_VITALS_PROBES; i++)
		lf_vitals_probe(&vitals, i % 2 ? 70000 : 80000);
	cr_assert_float_eq(lf_vitals_latency_ms(&vitals), 80, 1e-9);
}

Test(vitals, from_a_threshold_on_it_is_worse)
{
	const struct lf_threshold high = { .degraded = 1, .critical = 5 };
	const struct lf_threshold low = { .degraded = 80, .critical = 60 };

	cr_assert_eq(lf_health_above(0.99, &high), LF_HEALTHY);
	cr_assert_eq(lf_health_above(1, &high), LF_DEGRADED);
	cr_assert_eq(lf_health_above(5, &high), LF_CRITICAL);
	cr_assert_eq(lf_health_below(80, &low), LF_HEALTHY);
	cr_assert_eq(lf_health_below(79.9, &low), LF_DEGRADED);
	cr_assert_eq(lf_health_below(59.9, &low), LF_CRITICAL);
	cr_assert_eq(lf_health_worse(LF_DEGRADED, LF_HEALTHY), LF_DEGRADED);
	cr_assert_str_eq(lf_health_name(LF_CRITICAL), "critical");
}
