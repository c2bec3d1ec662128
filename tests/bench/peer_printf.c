/* printf as everybody uses it, bare or under the hook: buffered, three arguments.
 *
 *   peer_printf plain COUNT    the arguments are there
 *   peer_printf costly COUNT   one of them has to be made first
 */
#include <string.h>

#include "rounds.h"

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 0;

	if (argc == 3 && strcmp(argv[1], "plain") == 0)
		TIME_CALLS(count, , printf("request %ld of %s took %d ms\n", i & 1023, "alice", 12));
	else if (argc == 3 && strcmp(argv[1], "costly") == 0)
		TIME_CALLS(count, , printf("request %ld of %s took %d ms\n", i & 1023, described(i), 12));
	else
		return 64;
	return 0;
}
