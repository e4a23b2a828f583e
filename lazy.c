/* SPDX-License-Identifier: MIT */
#include "lazy.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "resolver.h"
#include "util.h"

static bool settled;

void lazy_settle(void)
{
	static const char *const libraries[] = { "libcjson.so.1",
						 "libzstd.so.1", "libz.so.1",
						 "libnl-3.so.200" };

	if (getenv("LD_LIBRARY_PATH") == NULL)
		return;
	/* One that is missing is missed by who needs it; they stay loaded. */
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		/* cppcheck-suppress leakReturnValNotUsed */
		lazy_open(libraries[i]);
	resolver_preload();
	settled = true;
}

void *lazy_open(const char *library)
{
	return dlopen(library,
		      RTLD_NOW | RTLD_LOCAL | (settled ? RTLD_NOLOAD : 0));
}

int lazy_load(const char *library, const struct lazy_symbol *symbols, size_t n)
{
	void *handle = lazy_open(library);

	if (handle == NULL) {
		const char *why = dlerror();

		fail(0, "cannot load %s: %s", library,
		     why ? why : "it was not there at the start");
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
