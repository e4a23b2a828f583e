/* SPDX-License-Identifier: MIT */

/* A spec document of any bytes: read, checked, printed, read again the same.
 * What the print hides, and a reader therefore refuses, is filled in between. */

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_text(struct spec *spec, const char *text, size_t len)
{
	struct parse p;
	int rc;

	parse_begin(&p, spec, NULL);
	p.file = "fuzz";
	p.source = FROM_FILE;
	spec_read_json(&p, text, len);
	p.source = FROM_FLAG;
	spec_check(&p);
	rc = p.problems ? -1 : 0;
	parse_end(&p);
	return rc;
}

static char *print(const struct spec *spec)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (spec_print(spec, out) < 0)
		abort(); /* what came as JSON can be printed as JSON */
	fclose(out);
	for (char *mark = text; (mark = strstr(mark, "***"));)
		memcpy(mark, "xxx", 3);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spec spec, again;
	char *auto_free first = NULL;
	char *auto_free second = NULL;

	if (read_text(&spec, (const char *)data, size) == 0) {
		first = print(&spec);
		if (read_text(&again, first, strlen(first)) < 0)
			abort();
		second = print(&again);
		if (strcmp(first, second) != 0)
			abort();
		spec_free(&again);
	}
	spec_free(&spec);
	err_reset();
	return 0;
}
