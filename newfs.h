/* SPDX-License-Identifier: MIT */
#pragma once

/* New file systems of our own, mounted but not in any tree yet. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Options are name and value (NULL: a flag); `attributes` are MOUNT_ATTR_*, nosuid
 * beside them.  A descriptor, or by fail(). */
int newfs_make(const char *type, const char *const options[][2],
	       size_t n_options, unsigned int attributes);

/* A tmpfs of at most `bytes`, and as many files as that has pages; by fail(). */
int newfs_tmpfs(uint64_t bytes, mode_t mode, unsigned int attributes);
/* What a sandbox has of these. */
int newfs_proc(void);
int newfs_devpts(void);
/* From here on this user namespace has no handlers of foreign formats
 * (binfmt_misc): as far as the kernel can, 6.7. */
void newfs_hide_handlers(void);
int newfs_overlay(const char *lower, const char *upper, const char *scratch);
