/* A library whose exported function and whose static function call back.  Built under several names:
 * -DEXPORTED=name. */
#include "tests/progs/frames/report.h"

int EXPORTED(report_fn *tell);
static volatile int calls;

__attribute__((noinline)) static void hidden_call(report_fn *tell)
{
	tell("hidden");
	calls++;
}

int EXPORTED(report_fn *tell)
{
	tell("library");
	hidden_call(tell);
	return ++calls;
}
