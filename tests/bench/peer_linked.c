/* The same through the linked API.
 *
 *   peer_linked plain|costly COUNT   lf_printf, as peer_printf.c does it
 *   peer_linked passes COUNT         lf_passes alone: counted and judged, and nobody prints
 *   peer_linked call COUNT           lf_call: the texts are only known at run time
 */
#include <logfold/logfold.h>
#include <string.h>

#include "rounds.h"

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 0;
	const char *what = argc == 3 ? argv[1] : "";
	volatile long passed = 0;

	if (strcmp(what, "plain") == 0)
		TIME_CALLS(count, , lf_printf("request %ld of %s took %d ms\n", i & 1023, "alice", 12));
	else if (strcmp(what, "costly") == 0)
		TIME_CALLS(count, , lf_printf("request %ld of %s took %d ms\n", i & 1023, described(i), 12));
	else if (strcmp(what, "passes") == 0)
		TIME_CALLS(count, , if (!lf_passes("LOG", "request %ld of %s took %d ms", i, "alice", 12)) passed = i);
	else if (strcmp(what, "call") == 0)
		TIME_CALLS(count, , if (!lf_call("LOG", "request %ld of %s took %d ms", "peer!main")) passed = i);
	else
		return 64;
	return 0;
}
