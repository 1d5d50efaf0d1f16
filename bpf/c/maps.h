/* What is measured, and where it is kept. doc.go says what the times are. */
#pragma once

#include "record.h"

enum {
	RECEIVES = 256, /* that a connection's last are remembered: a power of two */
	CONNECTIONS = 16384,
	MAX_RINGS = 256,
	OUTLIER_BYTES = 64 << 10,
};

/* The parts of a request's time. */
enum {
	CM_QUEUE,   /* ready to received */
	CM_SERVICE, /* received to submitted */
	CM_SEND_PART, /* submitted to taken by the socket */
	CM_TOTAL,   /* ready to the end of the send that was submitted */
	CM_PARTS,
};

/* A receive of a connection. */
struct cm_receive {
	__u32 end;    /* of its bytes, in what the connection has sent: the lower half */
	__u32 queued; /* ns that they were ready before; 0: not known */
	__u64 at; /* 0: went by unseen */
};

/* A connection, by its receive's record. Only ready is written from elsewhere than the
 * thread of its loop. */
struct cm_connection {
	__u64 id;
	__u64 ready; /* since when there is something to receive */
	__u64 first; /* of its bytes, how many came before the first receive that was seen */
	__u64 end;   /* how many have come */
	__u64 count; /* of receives */
	__u32 waits;  /* something to receive was left behind: ready stays */
	/* A send that its socket may not have taken whole. */
	__u32 leaves_rest;
	__u64 unsent_since;
	__u32 unsent[CM_KINDS]; /* requests that it answers */
	struct cm_receive receives[RECEIVES];
};

/* A loop's io_uring, by the address of its context. */
struct cm_ring {
	__u64 seen;    /* when first */
	__u64 waiting; /* its thread waits, or is about to */
	__u64 woken;   /* when something came for it to do meanwhile; 0: nothing */
};

/* A loop's thread: the send that is being submitted. */
struct cm_thread {
	__u64 send; /* its record; 0: none */
	__u64 at;
};

/* How many requests of a kind there were. */
struct cm_operation {
	__u64 requests; /* answered */
	__u64 untimed;  /* of them: when they were received is not known */
	__u64 unready;  /* of the others: when they were ready is not known */
};

/* What could not be followed. */
struct cm_losses {
	__u64 unreadable;  /* records and lists */
	__u64 connections; /* for which there was no room */
	__u64 outliers;    /* likewise */
};

/* What the loader notes for those who come later. */
struct cm_about {
	__u32 pid;
	__u32 loops;
	__u64 boot;     /* of the daemon, as it says in its status */
	__u64 attached; /* ns, as bpf_ktime_get_ns counts */
};

/* What may be changed while probes are attached. */
struct cm_settings {
	__u64 outlier_ns; /* a total from which on a request is an outlier; 0: none is */
};

/* Requests that took long: those of a kind that came with one receive and are answered by
 * one send. */
struct cm_outlier {
	__u64 at; /* ns, as bpf_ktime_get_ns counts: when they were answered */
	__u64 connection;
	__u64 key;      /* a hash of a key of one of them; 0: not known */
	__u64 queue;    /* ns; 0: not known */
	__u64 service;  /* ns; 0: not known */
	__u64 send;     /* ns; 0: not known */
	__u32 kind;
	__u32 count;
};

struct {
	MAP_IS(type, BPF_MAP_TYPE_HASH);
	MAP_IS(max_entries, MAX_RINGS);
	MAP_HAS(key, __u64); /* address of an io_uring's context */
	MAP_HAS(value, struct cm_ring);
} rings SEC(".maps");

struct {
	MAP_IS(type, BPF_MAP_TYPE_HASH);
	MAP_IS(max_entries, MAX_RINGS);
	MAP_HAS(key, __u32); /* id of a thread */
	MAP_HAS(value, struct cm_thread);
} threads SEC(".maps");

struct {
	MAP_IS(type, BPF_MAP_TYPE_HASH);
	MAP_IS(map_flags, BPF_F_NO_PREALLOC);
	MAP_IS(max_entries, CONNECTIONS);
	MAP_HAS(key, __u64); /* address of its receive's record */
	MAP_HAS(value, struct cm_connection);
} connections SEC(".maps");

struct {
	MAP_IS(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_IS(max_entries, CM_KINDS);
	MAP_HAS(key, __u32); /* kind */
	MAP_HAS(value, struct cm_operation);
} operations SEC(".maps");

struct {
	MAP_IS(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_IS(max_entries, 1);
	MAP_HAS(key, __u32);
	MAP_HAS(value, struct cm_losses);
} losses SEC(".maps");

struct {
	MAP_IS(type, BPF_MAP_TYPE_ARRAY);
	MAP_IS(max_entries, 1);
	MAP_HAS(key, __u32);
	MAP_HAS(value, struct cm_about);
} about SEC(".maps");

struct {
	MAP_IS(type, BPF_MAP_TYPE_ARRAY);
	MAP_IS(max_entries, 1);
	MAP_HAS(key, __u32);
	MAP_HAS(value, struct cm_settings);
} settings SEC(".maps");

struct {
	MAP_IS(type, BPF_MAP_TYPE_RINGBUF);
	MAP_IS(max_entries, OUTLIER_BYTES);
} outliers SEC(".maps");

/* For BTF: the ring buffer does not say what is in it. */
const struct cm_outlier *type_of_outliers __attribute__((unused));

INLINE struct cm_losses *lost(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&losses, &zero);
}
