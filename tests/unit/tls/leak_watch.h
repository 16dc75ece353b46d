/* Looks through every block of memory that our code frees for a text. A program that has it is
 * linked with --wrap=free and --wrap=realloc.
 */
#pragma once

/* From now on, for the first 32 characters of the text. */
void leak_watch_for(const char *text);
/* No more; how many blocks had it. */
unsigned int leak_watch_found(void);
