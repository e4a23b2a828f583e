/* SPDX-License-Identifier: MIT */

/* A ClientHello of any bytes; the first two say where it is cut in two. */

#include <stdlib.h>
#include <string.h>

#include "tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_hello whole, part;
	const char *why = NULL;
	char again[NET_NAME_MAX];
	size_t cut;
	long rc, early;

	if (size < 3)
		return 0;
	cut = (size_t)data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	rc = tls_client_hello(data, size, &whole, &why);
	if (rc > (long)size || (rc < 0 && !why))
		abort();
	if (rc > 0 && whole.name[0] &&
	    net_name_ascii(whole.name, strlen(whole.name), again) != 0)
		abort();
	tls_version_name(whole.version);
	/* Seen in part it may be undecided or refused, never something else
	 * than it turns out to be. */
	early = tls_client_hello(data, cut % size, &part, &why);
	if (early > 0 && early != rc)
		abort();
	if (early < 0 && rc >= 0)
		abort();
	return 0;
}
