/* Linked lists: utlist's macros (DL_APPEND and its family) over the structs' own prev and next. */
#pragma once

#include <utlist.h>
