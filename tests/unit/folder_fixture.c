#include "tests/unit/folder_fixture.h"

#include <stdio.h>
#include <stdlib.h>

void new_folder(char path[FOLDER_MAX])
{
	const char *below = getenv("TMPDIR");

	(void)snprintf(path, FOLDER_MAX, "%s/logfold-XXXXXX", below ? below : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		abort();
	}
}
