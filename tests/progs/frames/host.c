/* A program with one call of report() in every kind of function. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/progs/frames/report.h"

#define NOINLINE __attribute__((noinline))

extern int linked_call(report_fn *tell);

static volatile int two = 2; /* what the compiler must not know */
static volatile int sum;     /* what keeps a call from becoming a jump */

NOINLINE static void local_function(void)
{
	report("local");
	sum++;
}

void exported_function(void);
NOINLINE void exported_function(void)
{
	report("exported");
	sum++;
}

/* Becomes multiply.constprop.0: its second argument is always the same. */
NOINLINE static int multiply(int a, int b)
{
	report("constprop");
	return a * b * b;
}

struct pair {
	int first, second;
};

/* Becomes second_of.isra.0: only one member of its argument is used. */
NOINLINE static int second_of(const struct pair *pair)
{
	int second = pair->second;

	report("isra");
	return second + two;
}

/* Its branch moves to mostly_quiet.cold, far away from its own start. */
NOINLINE static void mostly_quiet(int n)
{
	if (n < 0) {
		report_rarely("cold");
		sum += n;
		report_rarely("cold");
	}
	sum++;
}

/* Three names at one address: a local one, first in byte order, and two global ones. */
void alias_m(void);
void alias_z(void) __attribute__((alias("alias_m")));
static void alias_a(void) __attribute__((alias("alias_m"), used));
NOINLINE void alias_m(void)
{
	report("alias");
	sum++;
}

/* The call is the last instruction: its return address belongs to the next function. */
noreturn NOINLINE static void last_call(void)
{
	report_and_exit("last");
}

/* As assembly is often written: no type, no size. */
extern const char untyped_function[];
__asm__(".pushsection .text\n"
	".globl untyped_function\n"
	"untyped_function: nop\nnop\nnop\nnop\n"
	"local_label: nop\nnop\nnop\nnop\n"
	".popsection\n");

/* What a test asks for before the first frame is looked up. */
static void prepare(const char *wish, const char *argument)
{
	int rc = 0;

	if (strcmp(wish, "unlink") == 0)
		rc = unlink(argument);
	else if (strcmp(wish, "chroot") == 0)
		rc = chroot(argument);
	else if (strcmp(wish, "nofile") == 0)
		rc = setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 3, 3 });
	if (rc < 0) {
		perror(wish);
		exit(77);
	}
}

int main(int argc, char **argv)
{
	struct pair pair = { two, two };

	if (argc > 2)
		prepare(argv[1], argv[2]);
	report("main");
	local_function();
	exported_function();
	sum += multiply(two, 3) + multiply(two + 1, 3);
	sum += second_of(&pair);
	mostly_quiet(-two);
	alias_m();
	sum += linked_call(report);
	report_address("untyped", untyped_function + 2);
	report_address("label", untyped_function + 6);
	last_call();
}
