#include "agent/hook/message.h"

#include <criterion/criterion.h>
#include <unistd.h>

#include "agent/hook/stub.h"
#include "tests/unit/host_fixture.h"

static struct lf_process *process;
static struct lf_slot *quiet, *noisy;

static struct lf_slot *slot_of(const char *template)
{
	struct lf_origin origin = lf_message_origin(process, __builtin_return_address(0),
	                                            lf_method_code(LF_METHOD_puts, LF_NO_FD));

	return lf_message_verbatim(process, origin, LF_KIND_CONSTANT,
	                           (struct lf_text){ template, strlen(template) }, 6);
}

static int console[2];

static enum lf_outcome judge(struct lf_slot *slot)
{
	struct lf_console_out out = lf_stub_out(NULL, console[1]);

	return lf_message_judge(process, slot, &out);
}

static void start(void)
{
	cr_assert_eq(pipe(console), 0);
	process = host_start(console[1]);
	cr_assert_not_null(process);
	quiet = slot_of("quiet");
	noisy = slot_of("noisy");
	host_mute("noisy");
}

Test(message, what_is_known_of_a_call_whatever_it_prints_is_not_found_where_it_prints_NULL, .init = start)
{
	uint32_t method = lf_method_code(LF_METHOD_printf, LF_NO_FD);
	const void *ret = __builtin_return_address(0);
	uint64_t text = lf_site_text(NULL, method);

	cr_assert_neq(lf_message_origin(process, ret, method).frame, 0);
	cr_assert_eq(lf_site_find(&process->cache, ret, text, 0), LF_TARGET_NONE);
}

Test(message, a_verdict_is_read_once_for_each_generation_of_the_flags, .init = start)
{
	cr_assert_not(lf_message_passes(process, quiet), "the flags are newer");
	cr_assert_eq(judge(quiet), LF_PASSED);
	cr_assert(lf_message_passes(process, quiet));
	cr_assert_eq(judge(noisy), LF_MUTED);
	cr_assert(lf_verdict_is_muted(process->flags, noisy));
	host_unmute_all();
	cr_assert_not(lf_verdict_is_muted(process->flags, noisy));
	cr_assert_eq(judge(noisy), LF_PASSED);
	cr_assert(lf_message_passes(process, noisy));
}

Test(message, while_the_flags_are_rewritten_every_message_keeps_its_verdict, .init = start)
{
	struct lf_flags *flags = (struct lf_flags *)(uintptr_t)process->flags;
	struct lf_flags rewritten = *flags;

	cr_assert_eq(judge(noisy), LF_MUTED);
	cr_assert_eq(judge(quiet), LF_PASSED);
	rewritten.generation++;
	process->flags = &rewritten;
	cr_assert_eq(judge(noisy), LF_MUTED);
	cr_assert_not(lf_message_passes(process, noisy));
	cr_assert_eq(judge(quiet), LF_PASSED);
	cr_assert_not(lf_stub_may_leave_out(process, quiet, NULL));
	process->flags = flags;
}
