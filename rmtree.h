/* SPDX-License-Identifier: MIT */
#pragma once

/* Deletion of a tree that somebody hostile may have shaped. */

/*
 * Deletes parent/name with all below it, whatever its depth and modes, with a
 * bounded number of descriptors.  Follows no link and crosses no mount.
 * `where` names the parent in messages.  By fail(), which leaves the rest.
 */
int rmtree_at(int parent_fd, const char *name, const char *where);
