/* What user_data of the daemon's operations points to: see type record in ring/uring, and
 * package ring for the lists. */
#pragma once

#include "kernel.h"

enum { CM_MAGIC = 0x434d5243, CM_RECEIVE = 2, CM_SEND = 3, CM_REST = 4, CM_TIMINGS = 7 };
enum { CM_RECORD_BYTES = 128, CM_KINDS = 8 };

struct cm_record {
	__u32 magic;
	__u32 kind;
	__u64 connection;
	__u64 sequence;
	__u64 bytes;
	__u32 answers[CM_KINDS];
	__u64 position;
	__u64 older;
	__u64 older_count;
	__u64 key;
};

struct cm_older {
	__u64 position;
	__u32 kind;
	__u32 count;
	__u64 key;
};

/* Requests that the daemon has timed itself. */
struct cm_timing {
	__u64 connection;
	__u64 queue;   /* ns; 0: not known */
	__u64 service; /* ns; 0: not known */
	__u64 key;
	__u32 kind;
	__u32 count;
};
