/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only declaration of every record, limit and number that the programs and the agent share.
 * `tools/build-bpf.ts` compiles it, reads it back from the object's BTF and writes `src/records.gen.ts`.
 *
 * Rules: no hidden padding (the generator refuses it; name it `reserved…`), addresses are always 16 bytes
 * (IPv4 as ::ffff:a.b.c.d), `__be16` stays in network order, every multi-byte number else is in host order,
 * times are nanoseconds of the boot clock (all ones: never), and an array of two indexed by "column" holds one value per world.
 * A new field of a map's value goes to its end, and 0 means what was so without it: the loader takes former values over as a beginning.
 */
#ifndef OSIER_RECORDS_H
#define OSIER_RECORDS_H

#include <linux/types.h>

#define SMALL_ENUM __attribute__((packed))

/* Default capacity of each map; `openKernel({ sizes })` may choose others when the maps are first created. */
enum limits {
	LIMIT_ENDPOINTS = 4096,
	LIMIT_ADDRESSES = 131072,
	LIMIT_POLICY = 131072,
	LIMIT_RULES = 65536,
	LIMIT_IDENTITIES = 65536,
	LIMIT_POLICIES = 16384,
	LIMIT_PROGRAMS = 16384,
	LIMIT_SLOTS = 16384,
	LIMIT_CONNTRACK = 65536,
	LIMIT_DENIALS = 8192,
	LIMIT_FLOWS = 1048576, /* bytes; a power of two and a multiple of the page */
	LIMIT_DROPS = 25,      /* one for each drop_reason */
};

/* How many policies may select one endpoint, and how many tiers they may be in. */
enum program_limits { LAYERS_PER_PROGRAM = 16, TIERS_PER_PROGRAM = 16 };

/* Defaults, in milliseconds; a non-zero field of the same name in config_record overrides one. */
enum timeouts {
	TIMEOUT_TCP_SYN = 60000,
	TIMEOUT_TCP_ESTABLISHED = 21600000,
	TIMEOUT_TCP_CLOSING = 10000,
	TIMEOUT_UDP_NEW = 30000,
	TIMEOUT_UDP_REPLIED = 180000,
	TIMEOUT_ICMP = 30000,
	TIMEOUT_SCTP_INIT = 60000,
	TIMEOUT_SCTP_ESTABLISHED = 21600000, /* as TCP: its HEARTBEATs may be turned off (RFC 9260, 8.3) */
	TIMEOUT_SCTP_CLOSING = 10000,
	TIMEOUT_DENIAL_REPEAT = 5000,
};

/* Milliseconds for which a flow goes on that was allowed before a rule denied it. */
enum grace { GRACE_NONE = 0, GRACE_ENDLESS = 0x7fffffff };

enum address_kind { ADDRESS_LOCAL = 1, ADDRESS_REMOTE = 2 };

enum endpoint_flag { ENDPOINT_ACTIVE = 1 };

enum record_flag { RECORD_START = 1, RECORD_END = 2, RECORD_DENIED = 4 };

enum SMALL_ENUM direction { DIRECTION_NONE = 0, DIRECTION_EGRESS = 1, DIRECTION_INGRESS = 2 };

enum SMALL_ENUM action { ACTION_ALLOW = 1, ACTION_DENY = 2, ACTION_PASS = 3 };

enum SMALL_ENUM flow_kind { FLOW_START = 1, FLOW_END = 2, FLOW_DENIED = 3 };

enum SMALL_ENUM ended_by {
	ENDED_NOT = 0,
	ENDED_FIN = 1, /* both sides were done; SCTP: a SHUTDOWN COMPLETE */
	ENDED_RST = 2, /* one side broke it off; SCTP: an ABORT */
	ENDED_TIMEOUT = 3,
	ENDED_POLICY = 4,
	ENDED_REMOVED = 5,  /* the endpoint went away */
	ENDED_REPLACED = 6, /* a new flow took over the same tuple */
};

enum SMALL_ENUM verdict { VERDICT_NONE = 0, VERDICT_ALLOWED = 1, VERDICT_DENIED = 2 };

enum SMALL_ENUM conntrack_state {
	STATE_NEW = 1,         /* nothing came back yet */
	STATE_ESTABLISHED = 2, /* both directions seen */
	STATE_CLOSING = 3,     /* one FIN seen: half-closed, and idle no shorter than before */
	STATE_CLOSED = 4,      /* both FINs, or a RST; SCTP: SHUTDOWN COMPLETE or ABORT */
	STATE_REVOKED = 5,     /* a newer world denies it: drops for as long as it would have been remembered */
};

enum SMALL_ENUM drop_reason {
	DROP_NONE = 0,
	DROP_POLICY_DENIED,
	DROP_POLICY_MISSING,
	DROP_SPOOFED_SOURCE,
	DROP_SPOOFED_TUNNEL,
	DROP_UNKNOWN_ENDPOINT,
	DROP_INACTIVE_ENDPOINT,
	DROP_UNKNOWN_PEER,
	DROP_UNKNOWN_DESTINATION,
	DROP_NOT_LOCAL,
	DROP_STALE_ENDPOINT,
	DROP_NO_CONNECTION,
	DROP_NO_FLOW,
	DROP_TTL_EXCEEDED,
	DROP_FRAGMENT,
	DROP_IPV6,
	DROP_ETHERTYPE,
	DROP_PROTOCOL,
	DROP_ICMP_TYPE,
	DROP_MALFORMED,
	DROP_ARP_IGNORED,
	DROP_SEALED,
	DROP_CONNTRACK_FULL,
	DROP_NOT_CONFIGURED,
	DROP_INTERNAL,
};

_Static_assert(DROP_INTERNAL + 1 == LIMIT_DROPS, "LIMIT_DROPS counts the drop reasons");

/* map `config`, one entry, mmap'd by the agent so that `epoch` is one atomic store */
struct config_record {
	__u32 epoch;         /* parity = the column that packets read */
	__u32 vxlan_ifindex; /* 0: no overlay yet, remote destinations drop as not_configured */
	__u8 underlay[16];   /* own tunnel endpoint; zero: the route chooses the outer source */
	__u32 record_flags;  /* which flow records are written: enum record_flag */
	__u32 tcp_syn;       /* timeouts in ms; 0 = default */
	__u32 tcp_established;
	__u32 tcp_closing;
	__u32 udp_new;
	__u32 udp_replied;
	__u32 icmp;
	__u32 denial_repeat;
	__u32 sctp_init;
	__u32 sctp_established;
	__u32 sctp_closing;
};

/* map `endpoints`: ifindex of the host-side veth → the workload behind it */
struct endpoint_record {
	__u32 rd;
	__u32 network;
	__u32 policy[2]; /* by column: its program */
	__u8 address[16];
	__u8 mac[6];
	__u16 flags; /* enum endpoint_flag */
	__u32 shadow[2]; /* by column: a subject whose rules are told of and never applied; 0: none */
};

/* map `addresses`: (routing domain, address) → where it is and who it is */
struct address_key {
	__u32 rd;
	__u8 address[16];
};

struct address_record {
	enum address_kind kind;
	__u32 network;
	__u32 target_rd;   /* equal to the key's rd until networks can be connected */
	__u32 ifindex;     /* local only */
	__u8 tunnel[16];   /* remote only: its node's tunnel endpoint */
	__u32 identity[2]; /* by column; never 0 */
	__u8 mac[6];       /* local only */
	__u16 reserved;
};

/*
 * map `programs`: one slot for each policy that selects an endpoint; 0 ends the list.
 * A program without a row here is its own and only layer: so it was before there were layers.
 */
struct program_record {
	__u32 slots[LAYERS_PER_PROGRAM];
};

/* map `slots`: one policy, as its program or many programs name it. A slot without a row, or without a layer, denies everything. */
struct slot_record {
	__u32 layer[2];  /* by column: what the policy means, in map `policy` */
	__u8 digest[32]; /* what the slot stands for; only the agent reads it */
};

/*
 * map `policy`, an LPM trie. prefixlen counts bits from `policy` on: 72 = any protocol, 80 = any port,
 * 80…96 = a port range by prefix, 96 = one port. Two look-ups in each layer: exact peer, then peer 0 (any);
 * within one peer the longest prefix is the match. For ICMP the port is (type << 8 | code).
 *
 * What was found in all layers of a program is asked by tier, the lowest first. In a tier the higher precedence wins,
 * then the lower place, then deny, then the earlier slot and the exact peer. If that is a pass, the next tier is asked; otherwise it
 * decides. If none decides, nothing passes.
 */
struct policy_key {
	__u32 prefixlen;
	__u32 policy; /* a layer's number, or that of a program without a row; the two have no number in common */
	__u32 peer;
	enum direction direction;
	__u8 protocol;
	__be16 port;
};

struct policy_entry {
	__u32 precedence;
	__u32 rule;
	enum action action;
	__u8 tier;   /* below TIERS_PER_PROGRAM */
	__u16 place; /* of the policy among those of the same precedence */
};

/* maps `rules`, `identities`, `policies`: what a number means. The agent reads them when it restarts; the programs `grace` only. */
struct rule_record {
	__u8 policy_id[16];
	__u16 rule_index;
	enum direction direction;
	enum action action;
	__u32 precedence;
	__u32 grace; /* of a denial: enum grace, or a number of ms */
};

struct digest_record {
	__u8 digest[32];
};

/* map `revisions`: [column] → the revision that column enforces */

/* map `conntrack`: the tuple sorted by (address, port), so that one look-up serves both directions */
struct conntrack_key {
	__u8 low[16];
	__u8 high[16];
	__be16 low_port; /* ICMP echo: its id, in both */
	__be16 high_port;
	__u32 rd;
	__u8 protocol;
	__u8 reserved[3];
};

struct conntrack_entry {
	__u64 first_seen;
	__u64 last_seen;
	__u64 packets[2]; /* [0] original direction, [1] reply */
	__u64 bytes[2];   /* of the inner IP packets */
	__u64 revision;   /* that allowed it last */
	__u32 epoch;      /* in which it was last judged */
	__u32 network;
	__u32 egress_rule; /* 0: that side is not on this node */
	__u32 ingress_rule;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 source_ifindex; /* 0: not on this node */
	__u32 destination_ifindex;
	__u32 ended;        /* 1: its end record is out */
	__be16 policy_port; /* as in policy_key, of the packet that began it */
	enum conntrack_state state;
	__u8 initiator_high; /* 1: the `high` side began it */
	__u8 fins;           /* bit 0: original direction, bit 1: reply */
	enum verdict shadow_verdict; /* when it was last judged; 0: neither side had a shadow */
	__u8 reserved[6];
	__u32 shadow_egress_rule; /* 0: that side has none, or was not asked */
	__u32 shadow_ingress_rule;
	__u64 spared_until; /* its rules deny it since, and let it go on until then; 0: they allow it */
};

/* map `denials`: repeats of one denial are counted and told with the next record */
struct denial_key {
	__u8 source[16];
	__u8 destination[16];
	__u32 rd;
	__be16 destination_port;
	__u8 protocol;
	enum drop_reason reason;
};

struct denial_entry {
	__u64 told; /* when the last record was written */
	__u64 repeats;
	__u64 revision;
	__u32 network;
	__u32 egress_rule;
	__u32 ingress_rule;
	__u32 source_identity;
	__u32 destination_identity;
	enum direction direction;
	enum verdict shadow_verdict;
	__u8 reserved[2];
	__u32 shadow_egress_rule;
	__u32 shadow_ingress_rule;
};

/* map `drops`, per CPU: [reason] */
struct drop_count {
	__u64 packets;
	__u64 bytes;
};

/* map `flows`, a ring buffer of these */
struct flow_event {
	__u64 time;
	__u64 first_seen;
	__u64 revision;
	__u64 packets[2]; /* [0] original direction, [1] reply */
	__u64 bytes[2];
	__u8 source[16]; /* who began it */
	__u8 destination[16];
	__u32 rd;
	__u32 network;
	__u32 egress_rule; /* 0: not decided on this node */
	__u32 ingress_rule;
	__u32 source_identity; /* this node's numbers; 0: unknown */
	__u32 destination_identity;
	__u32 source_ifindex; /* 0: not on this node */
	__u32 destination_ifindex;
	__u32 repeats; /* denials of the same tuple not told before this record */
	__u16 source_port; /* ICMP: its id */
	__u16 destination_port; /* ICMP: type << 8 | code */
	__u8 protocol;
	enum flow_kind kind;
	enum ended_by ended_by;
	enum direction direction; /* of the deciding rule */
	enum verdict verdict;
	enum drop_reason reason;
	enum verdict shadow_verdict; /* what the shadows would have decided; 0: neither side has one here */
	__u8 reserved;
	__u32 shadow_egress_rule;
	__u32 shadow_ingress_rule;
	__u64 spared_until; /* as in conntrack_entry; a denial with it is one of a flow that goes on */
};

/* Program `collect`: the request and its answer, carried in the test packet behind a 14-byte Ethernet header. */
enum SMALL_ENUM collect_mode { COLLECT_EXPIRE = 1, COLLECT_FORGET = 2 };

struct collect_request {
	__u32 rd; /* forget: whose entries */
	__u8 address[16];
	__u32 mode; /* enum collect_mode */
	__u32 walked;  /* from here on the answer */
	__u32 expired;
	__u32 revoked;
	__u32 forgotten;
};

#endif
