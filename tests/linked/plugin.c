/* A library with sites of its own, to be loaded and unloaded. */
#include <stdlib.h>

#include <logfold/logfold.h>

void plugin_call(int number);
void plugin_call(int number)
{
	if (number < 0 || !lf_passes("LOG", "plugged in %d", number))
		abort();
}
