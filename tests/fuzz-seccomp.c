/* SPDX-License-Identifier: MIT */

/* A system call profile of any bytes: read, bounded, and judged.  Not compiled:
 * that is libseccomp's part, in a process of its own. */

#include <stdlib.h>

#include "err.h"
#include "option.h"
#include "seccomp_profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parse p = { .source = FROM_FILE, .file = "fuzz" };
	struct seccomp_profile *profile = spec_read_seccomp(
	    &p, (const char *)data, size);

	if (profile->n_rules > SECCOMP_PROFILE_RULES)
		abort();
	for (size_t i = 0; i < profile->n_rules; i++) {
		struct seccomp_rule *rule = &profile->rules[i];
		struct seccomp_data call = { .nr = rule->nr };

		if (rule->entry >= SECCOMP_PROFILE_ENTRIES || !rule->name)
			abort();
		seccomp_rule_holds(rule, &call);
	}
	seccomp_profile_free(profile);
	err_reset();
	return 0;
}
