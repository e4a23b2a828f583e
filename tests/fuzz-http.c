/* SPDX-License-Identifier: MIT */

/*
 * What a client says, of any bytes: judged whole and in two pieces, the verdict
 * must be the same.  Only a word that came by itself goes ahead, and then what
 * follows may be refused where the whole was not, but never the other way round;
 * and of what is watched more has passed when it is refused in pieces.
 * The first octets say which port, and where it is cut.
 */

#include <stdlib.h>
#include <string.h>

#include "inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	size_t passed;
	bool denied;
};

/* Judges data[0, there) as far as it goes; true when it is over. */
static bool judge(struct inspect *in, const uint8_t *data, size_t there,
		  bool last, struct result *r)
{
	struct inspect_verdict verdict;

	for (;;) {
		size_t n = there > r->passed ? there - r->passed : 0;
		int64_t pass = inspect_next(in, data + there - n, n, last,
					    "a.example", &verdict);

		if (pass < 0)
			r->denied = true;
		if (pass == INSPECT_ALL)
			r->passed = SIZE_MAX;
		if (pass < 0 || pass == INSPECT_ALL)
			return true;
		if (pass == 0)
			return false;
		r->passed += (size_t)pass;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t ports[] = { 80, 443, 3000, 8080 };
	struct result whole = { 0 }, parts = { 0 };
	struct inspect in;
	uint16_t port;
	size_t cut;

	/* Beyond the window the relay shows it in parts anyway. */
	if (size < 4 || size > INSPECT_WINDOW)
		return 0;
	port = ports[data[0] % 4];
	cut = ((size_t)data[1] << 8 | data[2]) % (size - 3);
	data += 3;
	size -= 3;
	inspect_begin(&in, port);
	judge(&in, data, size, true, &whole);
	inspect_begin(&in, port);
	if (!judge(&in, data, cut, false, &parts))
		judge(&in, data, size, true, &parts);
	if (whole.denied && !parts.denied)
		abort();
	if (!in.word && whole.denied != parts.denied)
		abort();
	if (!parts.denied && whole.passed != parts.passed)
		abort();
	if (!in.word && whole.passed > parts.passed)
		abort();
	return 0;
}
