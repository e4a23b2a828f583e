/* SPDX-License-Identifier: MIT */
#include "lazy.h"

#include <dlfcn.h>
#include <string.h>

#include "err.h"

int lazy_load(const char *library, const struct lazy_symbol *symbols, size_t n)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL) {
		fail(0, "cannot load %s: %s", library, dlerror());
		return fail_remedy("install the package that has %s", library);
	}
	for (size_t i = 0; i < n; i++) {
		void *symbol = dlsym(handle, symbols[i].name);

		if (symbol == NULL)
			return fail(0, "%s has no %s", library,
				    symbols[i].name);
		/* POSIX has a pointer hold a function; C does not say so. */
		memcpy(symbols[i].place, &symbol, sizeof(symbol));
	}
	return 0;
}
