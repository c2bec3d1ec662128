#include "agent/hook/sandbox.h"

#include "agent/hook/console.h"
#include "agent/hook/process.h"
#include "hashing/sys.h"

static void prepare(void)
{
	bool has_console = lf_console_is(1);

	has_console |= lf_console_is(2);
	if (has_console)
		(void)lf_process_enter();
}

bool lf_sandbox_enter(void)
{
	lf_process_start();
	if (lf_sys_is_sealed() || lf_wiped_is_shared())
		return false;
	prepare();
	lf_sys_seal(true);
	return true;
}

void lf_sandbox_leave(void)
{
	lf_sys_seal(false);
}
