/* Follows requests of a daemon's clients through its io_uring: data ready, received,
 * answered. doc.go says how. */
#include "record.h"

enum {
	RECEIVES = 512,  /* that a connection's last are remembered; a power of two */
	CONNECTIONS = 16384,
	MAX_RINGS = 256,
	/* Buckets of a histogram: one for each ns below 64, then 32 for each doubling. */
	SUB_BITS = 5,
	TOP_BIT = 40, /* the last buckets take all that is longer: 18 minutes */
	BUCKETS = ((TOP_BIT - SUB_BITS) << SUB_BITS) + (2 << SUB_BITS),
	MAX_OLDER = 4096 + CM_KINDS, /* ring.maxOlder */
};

/* The process to follow, in the first PID namespace. The loader sets it. */
const volatile __u32 daemon_pid;

/* A receive of a connection. */
struct cm_receive {
	__u32 end;    /* of its bytes, in what the connection has sent: the lower half */
	__u32 queued; /* ns that they were ready before; 0: not known */
	__u64 at;
};

/* A connection, by its receive's record. Only ready is written from elsewhere than the
 * thread of its loop. */
struct cm_connection {
	__u64 id;
	__u64 ready; /* since when there is something to receive */
	__u64 first; /* of its bytes, how many came before the first receive that was seen */
	__u64 end;   /* how many have come */
	__u64 count; /* of receives */
	struct cm_receive receives[RECEIVES];
};

/* What became of requests of one kind. */
struct cm_operation {
	__u64 requests; /* answered */
	__u64 untimed;  /* of them: when they were received is not known */
	__u64 unready;  /* of the others: when they were ready is not known */
	__u64 queue_ns;
	__u64 service_ns;
	__u64 queue[BUCKETS];   /* ready to received */
	__u64 service[BUCKETS]; /* received to answered */
};

/* What could not be followed. */
struct cm_losses {
	__u64 unreadable;  /* records and lists */
	__u64 connections; /* for which there was no room */
};

/* What the loader notes for those who come later. */
struct cm_about {
	__u32 pid;
	__u32 loops;
	__u64 boot;     /* of the daemon, as it says in its status */
	__u64 attached; /* ns, as bpf_ktime_get_ns counts */
};

struct {
	MAP_IS(type, BPF_MAP_TYPE_HASH);
	MAP_IS(max_entries, MAX_RINGS);
	MAP_HAS(key, __u64); /* address of an io_uring's context */
	MAP_HAS(value, __u64); /* when it was first seen */
} rings SEC(".maps");

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

/* A fresh connection. It is too large for the stack. */
const volatile struct cm_connection fresh_connection;

INLINE int is_daemon(void) { return bpf_get_current_pid_tgid() >> 32 == daemon_pid; }

INLINE struct cm_losses *lost(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&losses, &zero);
}

INLINE int read_record(struct cm_record *record, __u32 size, __u64 user_data)
{
	if (bpf_probe_read_user(record, size, (const void *)user_data) == 0)
		return record->magic == CM_MAGIC;
	struct cm_losses *l = lost();
	if (l)
		l->unreadable++;
	return 0;
}

/* The connection with a receive's record, made if it is new. */
INLINE struct cm_connection *connection_at(__u64 user_data)
{
	struct cm_connection *c = bpf_map_lookup_elem(&connections, &user_data);
	if (c)
		return c;
	bpf_map_update_elem(&connections, &user_data, (const void *)&fresh_connection, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&connections, &user_data);
	if (!c) {
		struct cm_losses *l = lost();
		if (l)
			l->connections++;
	}
	return c;
}

/* While probes are attached: remembers the rings of the daemon's loops. Each of them waits
 * at least as often as it ticks. */
SEC("tp_btf/io_uring_cqring_wait")
int on_wait(__u64 *args)
{
	if (!is_daemon())
		return 0;
	__u64 ring = args[0], now = bpf_ktime_get_ns();
	bpf_map_update_elem(&rings, &ring, &now, BPF_NOEXIST);
	return 0;
}

/* There is something to receive. This runs where it comes from: in the process that
 * sends, or in whatever was interrupted. */
SEC("tp_btf/io_uring_task_add")
int on_ready(__u64 *args)
{
	struct io_kiocb *req = (struct io_kiocb *)args[0];
	__u64 ring = (__u64)req->ctx;
	/* Without events it is the kernel that puts off the rest of a long receive. */
	if ((__s32)args[1] == 0 || req->opcode != IORING_OP_RECV || !bpf_map_lookup_elem(&rings, &ring))
		return 0;
	struct cm_connection *c = connection_at(req->cqe.user_data);
	if (c)
		c->ready = bpf_ktime_get_ns();
	return 0;
}

INLINE void receive(__u64 user_data, __s32 res, __u32 flags)
{
	struct cm_record record;
	if (res <= 0 || !is_daemon())
		return;
	if (!read_record(&record, __builtin_offsetof(struct cm_record, answers), user_data) || record.kind != CM_RECEIVE)
		return;
	struct cm_connection *c = connection_at(user_data);
	if (!c)
		return;
	if (c->id != record.connection) { /* The record's next connection, or one that was there before us. */
		c->id = record.connection;
		c->first = c->end = record.bytes;
		c->count = 0;
	}
	if (c->end < record.bytes) /* A completion that there was no room for went by unseen. */
		c->end = record.bytes;
	c->end += res;
	__u64 now = bpf_ktime_get_ns(), ready = c->ready, queued = 0;
	if (ready) {
		queued = now > ready ? now - ready : 1;
		if (queued > 0xffffffff)
			queued = 0xffffffff;
	}
	struct cm_receive *r = &c->receives[c->count & (RECEIVES - 1)];
	r->end = c->end;
	r->queued = queued;
	r->at = now;
	c->count++;
	/* What follows without another wake-up has come since; or it was there already, where the
	 * kernel says that there is more. */
	if (!(flags & IORING_CQE_F_SOCK_NONEMPTY))
		c->ready = now;
}

SEC("tp_btf/io_uring_complete")
int on_receive_cqe(__u64 *args) /* context, request or null, completion */
{
	struct io_uring_cqe *cqe = (struct io_uring_cqe *)args[2];
	receive(cqe->user_data, cqe->res, cqe->flags);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int on_receive_values(__u64 *args) /* context, request or null, user_data, res, flags, … */
{
	receive(args[2], args[3], args[4]);
	return 0;
}

/* The highest bit that is set. clang 14 knows no other way on this machine. */
INLINE __u32 top_bit(__u64 n)
{
	__u32 top = 0;
	for (int half = 32; half > 0; half /= 2)
		if (n >> half) {
			n >>= half;
			top += half;
		}
	return top;
}

INLINE __u32 bucket_of(__u64 ns)
{
	if (ns < 2 << SUB_BITS)
		return ns;
	if (ns >> (TOP_BIT + 1))
		return BUCKETS - 1;
	__u32 shift = top_bit(ns) - SUB_BITS;
	return (shift << SUB_BITS) + (ns >> shift);
}

INLINE void count(__u64 *buckets, __u64 ns, __u32 n)
{
	__u32 i = bucket_of(ns);
	if (i < BUCKETS)
		buckets[i] += n;
}

/* The i-th receive of a connection ends before a position. */
INLINE int before(struct cm_connection *c, __u64 i, __u64 position)
{
	return (__s32)(c->receives[i & (RECEIVES - 1)].end - (__u32)position) < 0;
}

/* The receive that has brought the byte at a position: the first that ends there or
 * later. Null if it is not known. */
INLINE struct cm_receive *find(struct cm_connection *c, __u64 position)
{
	__u64 count = c->count;
	if (count == 0 || position <= c->first || position > c->end)
		return 0;
	__u64 low = count > RECEIVES ? count - RECEIVES : 0, high = count - 1;
	if (low > 0 && !before(c, low, position))
		return 0; /* it is forgotten */
	if (high > low && before(c, high - 1, position))
		low = high; /* nearly always */
	for (int step = 0; step < 10 && low < high; step++) {
		__u64 middle = (low + high) / 2;
		if (before(c, middle, position))
			low = middle + 1;
		else
			high = middle;
	}
	return &c->receives[low & (RECEIVES - 1)];
}

/* A send, for those that it answers. */
struct cm_send {
	struct cm_connection *connection; /* null: not known */
	__u64 now;
	__u64 older;
};

NOINLINE int answer(struct cm_send *s, __u32 kind, __u32 n, __u64 position)
{
	struct cm_operation *o = bpf_map_lookup_elem(&operations, &kind);
	if (!o)
		return 0;
	o->requests += n;
	struct cm_connection *c = s->connection;
	struct cm_receive *r = c ? find(c, position) : 0;
	if (!r) {
		o->untimed += n;
		return 0;
	}
	__u64 service = s->now - r->at, queue = r->queued;
	o->service_ns += service * n;
	count(o->service, service, n);
	if (!queue) {
		o->unready += n;
		return 0;
	}
	o->queue_ns += queue * n;
	count(o->queue, queue, n);
	return 0;
}

static long answer_older(__u32 i, struct cm_send *s)
{
	struct cm_older older;
	if (bpf_probe_read_user(&older, sizeof(older), (const void *)(s->older + i * sizeof(older)))) {
		struct cm_losses *l = lost();
		if (l)
			l->unreadable++;
		return 1;
	}
	answer(s, older.kind, older.count, older.position);
	return 0;
}

INLINE void submit(struct io_kiocb *req)
{
	struct cm_record record;
	__u64 user_data = req->cqe.user_data;
	if (!is_daemon() || !read_record(&record, sizeof(record), user_data))
		return;
	if (record.kind == CM_RECEIVE) { /* What it finds may have come at any time before. */
		struct cm_connection *c = connection_at(user_data);
		if (c)
			c->ready = bpf_ktime_get_ns();
		return;
	}
	if (record.kind != CM_SEND)
		return;
	struct cm_send s = {.now = bpf_ktime_get_ns(), .older = record.older};
	__u64 receive = user_data - CM_RECORD_BYTES;
	s.connection = bpf_map_lookup_elem(&connections, &receive);
	if (s.connection && s.connection->id != record.connection)
		s.connection = 0;
	for (int kind = 0; kind < CM_KINDS; kind++)
		if (record.answers[kind])
			answer(&s, kind, record.answers[kind], record.position);
	if (record.older_count)
		bpf_loop(record.older_count < MAX_OLDER ? record.older_count : MAX_OLDER, answer_older, &s, 0);
}

SEC("tp_btf/io_uring_submit_req")
int on_submit_req(__u64 *args)
{
	submit((struct io_kiocb *)args[0]);
	return 0;
}

/* The same tracepoint's name before Linux 6.4. */
SEC("tp_btf/io_uring_submit_sqe")
int on_submit_sqe(__u64 *args)
{
	submit((struct io_kiocb *)args[0]);
	return 0;
}

/* bpf_probe_read_user is for GPL-compatible programs. */
char dual_license[] SEC("license") = "Dual MIT/GPL";
