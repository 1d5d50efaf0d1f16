/* Follows requests of a daemon's clients through its io_uring: data ready, received,
 * answered, sent. doc.go says how. */
#include "histogram.h"

/* The process to follow, in the first PID namespace. The loader sets it. */
const volatile __u32 daemon_pid;

/* on_sent is attached. Else the ends of sends are not seen. The loader sets it. */
const volatile __u32 sees_sends;

enum {
	MAX_OLDER = 4096 + CM_KINDS, /* ring.maxOlder */
	MAX_TIMINGS = 4096,
};

/* A fresh connection. It is too large for the stack. */
const volatile struct cm_connection fresh_connection;

INLINE int is_daemon(void) { return bpf_get_current_pid_tgid() >> 32 == daemon_pid; }

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

/* A loop's thread is about to wait. Each does at least as often as it ticks. */
SEC("tp_btf/io_uring_cqring_wait")
int on_wait(__u64 *args)
{
	if (!is_daemon())
		return 0;
	__u64 ring = args[0];
	struct cm_ring *r = bpf_map_lookup_elem(&rings, &ring);
	if (r) {
		r->woken = 0;
		r->waiting = 1;
		return 0;
	}
	struct cm_ring fresh = {.seen = bpf_ktime_get_ns(), .waiting = 1};
	bpf_map_update_elem(&rings, &ring, &fresh, BPF_NOEXIST);
	return 0;
}

/* There is something for a loop to do. This runs where it comes from: in the process that
 * sends, or in whatever was interrupted. */
SEC("tp_btf/io_uring_task_add")
int on_ready(__u64 *args)
{
	struct io_kiocb *req = (struct io_kiocb *)args[0];
	__u64 ring = (__u64)req->ctx;
	struct cm_ring *r = bpf_map_lookup_elem(&rings, &ring);
	/* Without events it is the kernel that puts off the rest of a long receive. */
	if (!r || (__s32)args[1] == 0)
		return 0;
	__u64 now = bpf_ktime_get_ns();
	if (r->waiting && !r->woken)
		r->woken = now;
	if (req->opcode != IORING_OP_RECV)
		return 0;
	struct cm_connection *c = connection_at(req->cqe.user_data);
	if (c)
		c->ready = now;
	return 0;
}

/* The loop's thread has something. If it has waited for it, it is awake now. */
INLINE void awake(__u64 ring, __u64 now)
{
	struct cm_ring *r = bpf_map_lookup_elem(&rings, &ring);
	if (!r || !r->waiting)
		return;
	if (r->woken)
		count(WAKE_UPS, now > r->woken ? now - r->woken : 1, 1);
	r->waiting = r->woken = 0;
}

/* Passes on requests that took long, at is when they were answered; 0: now. */
VERIFIED_ALONE int report(struct cm_outlier *o, __u64 total)
{
	__u32 zero = 0;
	struct cm_settings *s = bpf_map_lookup_elem(&settings, &zero);
	if (!o || !s || !s->outlier_ns || total < s->outlier_ns)
		return 0;
	if (!o->at)
		o->at = bpf_ktime_get_ns();
	if (bpf_ringbuf_output(&outliers, o, sizeof(*o), 0)) {
		struct cm_losses *l = lost();
		if (l)
			l->outliers++;
	}
	return 0;
}

/* What a send has left over is going out. */
INLINE void rest(struct cm_record *record, __u64 user_data, __s32 res, __u64 now)
{
	__u64 receive = user_data - CM_RECORD_BYTES;
	struct cm_connection *c = bpf_map_lookup_elem(&connections, &receive);
	/* A rest is asked to send all that is left. */
	if (!c || c->id != record->connection || !c->leaves_rest || res < record->bytes)
		return;
	c->leaves_rest = 0;
	__u64 took = now - c->unsent_since;
	for (__u32 kind = 0; kind < CM_KINDS; kind++) {
		__u32 n = c->unsent[kind];
		if (!n)
			continue;
		count(kind * CM_PARTS + CM_SEND_PART, took, n);
		struct cm_outlier o = {.at = now, .connection = c->id, .send = took, .kind = kind, .count = n};
		report(&o, took);
	}
}

INLINE void completed(__u64 ring, __u64 user_data, __s32 res, __u32 flags)
{
	struct cm_record record;
	if (!is_daemon())
		return;
	__u64 now = bpf_ktime_get_ns();
	awake(ring, now);
	if ((res <= 0 && res != -ENOBUFS) || !read_record(&record, __builtin_offsetof(struct cm_record, answers), user_data))
		return;
	if (res < 0) { /* There was no room for what came: it waits for the next receive. */
		struct cm_connection *starved = bpf_map_lookup_elem(&connections, &user_data);
		if (starved && record.kind == CM_RECEIVE)
			starved->waits = 1;
		return;
	}
	if (record.kind == CM_REST)
		rest(&record, user_data, res, now);
	if (record.kind != CM_RECEIVE)
		return;
	struct cm_connection *c = connection_at(user_data);
	if (!c)
		return;
	if (c->id != record.connection) { /* The record's next connection, or one that was there before us. */
		c->id = record.connection;
		c->first = c->end = record.bytes;
		c->count = c->leaves_rest = c->waits = 0;
	}
	if (c->end < record.bytes) { /* A completion that there was no room for went by unseen. */
		struct cm_receive *unseen = &c->receives[c->count & (RECEIVES - 1)];
		c->end = unseen->end = record.bytes;
		unseen->at = unseen->queued = 0;
		c->count++;
	}
	c->end += res;
	__u64 ready = c->ready, queued = 0;
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
	else if (!(flags & IORING_CQE_F_MORE)) /* and it is the last of this receive */
		c->waits = 1;
}

SEC("tp_btf/io_uring_complete")
int on_complete_cqe(__u64 *args) /* context, request or null, completion */
{
	struct io_uring_cqe *cqe = (struct io_uring_cqe *)args[2];
	completed(args[0], cqe->user_data, cqe->res, cqe->flags);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int on_complete_values(__u64 *args) /* context, request or null, user_data, res, flags, … */
{
	completed(args[0], args[2], args[3], args[4]);
	return 0;
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
	__u64 id;
	__u64 submitted;
	__u64 took; /* ns, all of it; 0: it goes on, or nobody knows */
	__u64 older;
};

/* Requests of a kind that came with one receive. */
struct cm_answer {
	__u64 position;
	__u64 key;
	__u32 kind;
	__u32 count;
};

NOINLINE int answer(struct cm_send *s, struct cm_answer *a)
{
	__u32 kind = a->kind, n = a->count;
	struct cm_operation *o = bpf_map_lookup_elem(&operations, &kind);
	if (!o)
		return 0;
	o->requests += n;
	struct cm_connection *c = s->connection;
	if (s->took)
		count(kind * CM_PARTS + CM_SEND_PART, s->took, n);
	else if (c && kind < CM_KINDS)
		c->unsent[kind] += n;
	struct cm_receive *r = c ? find(c, a->position) : 0;
	if (!r || !r->at) {
		o->untimed += n;
		return 0;
	}
	__u64 service = s->submitted - r->at, queue = r->queued;
	count(kind * CM_PARTS + CM_SERVICE, service, n);
	if (queue) {
		count(kind * CM_PARTS + CM_QUEUE, queue, n);
		count(kind * CM_PARTS + CM_TOTAL, queue + service + s->took, n);
	} else {
		o->unready += n;
	}
	struct cm_outlier slow = {
		.at = s->submitted + s->took, .connection = s->id, .key = a->key,
		.queue = queue, .service = service, .send = s->took, .kind = kind, .count = n,
	};
	report(&slow, queue + service + s->took);
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
	struct cm_answer a = {older.position, older.key, older.kind, older.count};
	answer(s, &a);
	return 0;
}

/* Counts the requests that a send answers. */
INLINE void answer_all(struct cm_record *record, __u64 user_data, __u64 submitted, __u64 took)
{
	struct cm_send s = {.id = record->connection, .submitted = submitted, .took = took, .older = record->older};
	__u64 receive = user_data - CM_RECORD_BYTES;
	s.connection = bpf_map_lookup_elem(&connections, &receive);
	if (s.connection && s.connection->id != record->connection)
		s.connection = 0;
	if (s.connection && !took) {
		s.connection->leaves_rest = 1;
		s.connection->unsent_since = submitted;
		for (int kind = 0; kind < CM_KINDS; kind++)
			s.connection->unsent[kind] = 0;
	}
	for (int kind = 0; kind < CM_KINDS; kind++)
		if (record->answers[kind]) {
			struct cm_answer a = {record->position, record->key, kind, record->answers[kind]};
			answer(&s, &a);
		}
	if (record->older_count)
		bpf_loop(record->older_count < MAX_OLDER ? record->older_count : MAX_OLDER, answer_older, &s, 0);
}

/* Requests that came in memory which the daemon shares with its clients: nobody but the
 * daemon sees them. */
static long answer_timed(__u32 i, __u64 *list)
{
	struct cm_timing t;
	if (bpf_probe_read_user(&t, sizeof(t), (const void *)(*list + i * sizeof(t)))) {
		struct cm_losses *l = lost();
		if (l)
			l->unreadable++;
		return 1;
	}
	__u32 kind = t.kind;
	struct cm_operation *o = bpf_map_lookup_elem(&operations, &kind);
	if (!o)
		return 0;
	o->requests += t.count;
	if (!t.service) {
		o->untimed += t.count;
		return 0;
	}
	count(kind * CM_PARTS + CM_SERVICE, t.service, t.count);
	if (t.queue) {
		count(kind * CM_PARTS + CM_QUEUE, t.queue, t.count);
		count(kind * CM_PARTS + CM_TOTAL, t.queue + t.service, t.count);
	} else {
		o->unready += t.count;
	}
	struct cm_outlier slow = {
		.connection = t.connection, .key = t.key,
		.queue = t.queue, .service = t.service, .kind = kind, .count = t.count,
	};
	report(&slow, t.queue + t.service);
	return 0;
}

/* Notes the send that a thread submits, for on_sent. */
INLINE void note_send(__u64 user_data, __u64 now)
{
	__u32 thread = bpf_get_current_pid_tgid();
	struct cm_thread *t = bpf_map_lookup_elem(&threads, &thread);
	if (t) {
		t->send = user_data;
		t->at = now;
		return;
	}
	struct cm_thread fresh = {user_data, now};
	bpf_map_update_elem(&threads, &thread, &fresh, BPF_NOEXIST);
}

INLINE void submit(struct io_kiocb *req)
{
	struct cm_record record;
	__u64 user_data = req->cqe.user_data;
	if (!is_daemon() || !read_record(&record, sees_sends ? __builtin_offsetof(struct cm_record, answers) : sizeof(record), user_data))
		return;
	__u64 now = bpf_ktime_get_ns();
	if (record.kind == CM_RECEIVE) { /* What it finds may have come at any time before. */
		struct cm_connection *c = connection_at(user_data);
		if (c && !c->waits)
			c->ready = now;
		if (c)
			c->waits = 0;
	} else if (record.kind == CM_SEND && sees_sends) {
		note_send(user_data, now);
	} else if (record.kind == CM_SEND) {
		answer_all(&record, user_data, now, 0);
	} else if (record.kind == CM_TIMINGS && read_record(&record, sizeof(record), user_data)) {
		__u64 list = record.older;
		bpf_loop(record.older_count < MAX_TIMINGS ? record.older_count : MAX_TIMINGS, answer_timed, &list, 0);
	}
}

/* A socket has taken something, or not: of the send that was submitted last, if it is the
 * daemon that sends. A send is carried out within its submission. */
SEC("tp_btf/sock_send_length")
int on_sent(__u64 *args) /* socket, how much or an error, flags */
{
	struct cm_record record;
	if (!is_daemon())
		return 0;
	__u32 thread = bpf_get_current_pid_tgid();
	struct cm_thread *t = bpf_map_lookup_elem(&threads, &thread);
	if (!t || !t->send)
		return 0;
	__u64 user_data = t->send, took = bpf_ktime_get_ns() - t->at;
	t->send = 0;
	if (!read_record(&record, sizeof(record), user_data))
		return 0;
	__s64 sent = (__s32)args[1] > 0 ? (__s32)args[1] : 0;
	answer_all(&record, user_data, t->at, sent < record.bytes ? 0 : took ? took : 1);
	return 0;
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
