/* What the programs need of the kernel. Types and helpers are spelled out here, so that
 * clang alone compiles them, and the output does not depend on what headers a host has. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
/* The verifier looks at such a function once, whoever calls it. */
#define VERIFIED_ALONE __attribute__((noinline))

/* Declarations of maps are types only; the loader reads them from BTF. */
#define MAP_IS(name, value) int(*name)[value]
#define MAP_HAS(name, type) type *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };

/* Helpers, by their numbers in the kernel's ABI. */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static __u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*bpf_probe_read_user)(void *to, __u32 size, const void *from) = (void *)112;
static long (*bpf_ringbuf_output)(void *map, void *data, __u64 size, __u64 flags) = (void *)130;
static long (*bpf_loop)(__u32 times, void *body, void *context, __u64 flags) = (void *)181;

/* The parts of the kernel's structs that are looked at. Where they are in the running
 * kernel's, the loader finds out (CO-RE). */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_cqe {
	__u64 user_data;
};

struct io_kiocb {
	__u8 opcode;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
};

struct io_uring_cqe {
	__u64 user_data;
	__s32 res;
	__u32 flags;
};

#pragma clang attribute pop

enum { IORING_OP_RECV = 27 };
enum { IORING_CQE_F_MORE = 1 << 1, IORING_CQE_F_SOCK_NONEMPTY = 1 << 2 };
enum { ENOBUFS = 105 };
