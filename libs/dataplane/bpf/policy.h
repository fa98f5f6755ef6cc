/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a flow may exist. Nothing is allowed that no entry allows. */
#ifndef OSIER_POLICY_H
#define OSIER_POLICY_H

#include "report.h"

#define EXACT_PREFIX 96
#define ATTEMPTS 8 /* of a question that packets interrupt; then it is answered by no */

static __always_inline struct address_record *find_address(__u32 rd, const __u8 *address)
{
	struct address_key key = { .rd = rd };

	copy_address(key.address, address);
	return bpf_map_lookup_elem(&addresses, &key);
}

/* The endpoint at a local address, unless the device was given to another since. */
static __always_inline struct endpoint_record *find_endpoint(__u32 ifindex, __u32 rd, const __u8 *address)
{
	struct endpoint_record *endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);

	if (!endpoint || endpoint->rd != rd || !same_address(endpoint->address, address) ||
	    !(endpoint->flags & ENDPOINT_ACTIVE))
		return 0;
	return endpoint;
}

/* What a walk over the layers of a program found. */
struct finding {
	__u64 rank; /* 0: nothing */
	__u32 rule;
	__u32 action;
};

/* The tuple of a flow in its original direction. */
struct question {
	__u8 source[16];
	__u8 destination[16];
	__u32 rd;
	__be16 policy_port;
	__u8 protocol;
	__u8 goes_on; /* 1: it was allowed before, and the rule that denies it may let it go on */
};

/*
 * What one question needs while it is asked. Off the stack, of which a chain of calls has 512 bytes. A processor asks one question at a
 * time: programs of traffic control are not interrupted by each other, and a shadow is asked after the verdict is out of here. Only
 * `collect`, which the agent runs, may be interrupted by a packet: `asked` tells it, and it asks again.
 */
struct scratch {
	/* of a packet: `collect` has its own on the stack */
	struct conntrack_key flow;
	struct question question;
	__u32 asked;
	struct policy_key key;
	__u32 peer;
	__u64 below; /* the limit of a rank */
	struct finding found;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* Entries of a tier have all the ranks from here to where the tier before it begins. */
static __always_inline __u64 lowest_rank(__u32 tier)
{
	return (__u64)(TIERS_PER_PROGRAM - tier) << 49;
}

/* The highest is asked first: the lowest tier, the highest precedence, the lowest place, a denial. Never 0. */
static __always_inline __u64 rank_of(const struct policy_entry *entry)
{
	return lowest_rank(entry->tier % TIERS_PER_PROGRAM) | (__u64)entry->precedence << 17 |
	       (__u64)(0xffff - entry->place) << 1 | (entry->action == ACTION_DENY);
}

static __always_inline __u32 tier_of(const struct finding *found)
{
	return TIERS_PER_PROGRAM - (found->rank >> 49);
}

static __always_inline struct scratch *find_scratch(void)
{
	__u32 only = 0;

	return bpf_map_lookup_elem(&scratch, &only);
}

static __always_inline void look_up(struct scratch *s, __u32 peer)
{
	struct policy_entry *entry;
	__u64 rank;

	s->key.peer = peer;
	entry = bpf_map_lookup_elem(&policy, &s->key);
	if (!entry)
		return;
	rank = rank_of(entry);
	if (rank >= s->below || rank <= s->found.rank)
		return;
	s->found.rank = rank;
	s->found.rule = entry->rule;
	s->found.action = entry->action;
}

/* The layer of a slot in a column, or 0. */
static __always_inline __u32 layer_of(__u32 slot, __u32 column)
{
	struct slot_record *record = bpf_map_lookup_elem(&slots, &slot);

	return record ? record->layer[column & 1] : 0;
}

/*
 * The highest rank below the limit that any layer of the program has. Returns a drop reason.
 * Global, so that the verifier goes through it once and not for each walk and each call. It takes no pointer: before 6.2 a key that a
 * global function was given is none for a map.
 */
__noinline int walk_layers(__u32 subject, __u32 column)
{
	struct scratch *s = find_scratch();
	struct program_record *program;

	if (!s)
		return DROP_INTERNAL;
	s->found.rank = 0;
	program = bpf_map_lookup_elem(&programs, &subject);
	if (!program) {
		s->key.policy = subject;
		look_up(s, s->peer);
		look_up(s, 0);
	}
	for (int i = 0; program && i < LAYERS_PER_PROGRAM && program->slots[i]; i++) {
		s->key.policy = layer_of(program->slots[i], column);
		if (!s->key.policy)
			return DROP_POLICY_MISSING;
		look_up(s, s->peer);
		look_up(s, 0);
	}
	return s->found.rank ? DROP_NONE : DROP_POLICY_MISSING;
}

/* Returns a drop reason; *rule is the deciding one, also for a denial. There is no room for what each tier says: each is a walk. */
static __always_inline int evaluate(struct scratch *s, __u32 subject, __u32 column, __u32 *rule)
{
	s->below = ~0ULL;
	for (int walk = 0; walk < TIERS_PER_PROGRAM; walk++) {
		if (walk_layers(subject, column))
			return DROP_POLICY_MISSING;
		if (s->found.action != ACTION_PASS) {
			*rule = s->found.rule;
			return s->found.action == ACTION_ALLOW ? DROP_NONE : DROP_POLICY_DENIED;
		}
		s->below = lowest_rank(tier_of(&s->found));
	}
	return DROP_POLICY_MISSING;
}

/*
 * Asks a program or a shadow about a target: protocol << 16 | port. A drop reason << 32 | the rule that gave it, 0 where none did.
 * Global and without a pointer, as walk_layers: what follows an answer is verified once, and not for each way to come to it.
 */
__noinline __u64 answer(__u32 subject, __u32 column, __u32 peer, __u32 direction, __u32 target)
{
	struct scratch *s = find_scratch();

	if (!s)
		return (__u64)DROP_INTERNAL << 32;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		__u32 turn = ++*(volatile __u32 *)&s->asked;
		__u32 rule = 0;
		__u64 reason;

		s->key.prefixlen = EXACT_PREFIX;
		s->peer = peer;
		s->key.direction = direction;
		s->key.protocol = target >> 16;
		s->key.port = target;
		reason = evaluate(s, subject, column, &rule);
		if (*(volatile __u32 *)&s->asked == turn)
			return reason << 32 | rule;
	}
	return (__u64)DROP_INTERNAL << 32;
}

static __always_inline int ask(const struct question *q, __u32 subject, __u32 peer, enum direction direction, __u32 column,
			       __u32 *rule)
{
	__u64 found = answer(subject, column, peer, direction, (__u32)q->protocol << 16 | q->policy_port);

	*rule = found;
	return found >> 32;
}

static __always_inline int judge_side(struct judgement *j, const struct question *q, __u32 subject, __u32 peer,
				      enum direction direction, __u32 column, __u32 *rule)
{
	j->direction = direction;
	return ask(q, subject, peer, direction, column, rule);
}

/* Milliseconds for which the rule that denied lets a flow go on that was allowed before. What is no rule's doing is no rule's to soften. */
static __always_inline __u32 grace_of(const struct question *q, int reason, const __u32 *rule)
{
	struct rule_record *record;

	if (!q->goes_on || reason != DROP_POLICY_DENIED)
		return GRACE_NONE;
	record = bpf_map_lookup_elem(&rules, rule);
	return record ? record->grace : GRACE_NONE;
}

/* The first side that denies decides; of a flow that goes on, the stricter one. */
static __noinline int judge_flow(struct judgement *j, const struct question *q, __u32 column)
{
	struct address_record *source, *destination;
	struct endpoint_record *endpoint;
	int reason, denied = DROP_NONE;
	__u32 grace;

	if (!j || !q)
		return DROP_INTERNAL;
	source = find_address(q->rd, q->source);
	destination = find_address(q->rd, q->destination);
	column &= 1;
	if (!source || !source->identity[column])
		return DROP_UNKNOWN_PEER;
	j->source_identity = source->identity[column];
	j->network = source->network;
	if (!destination || !destination->identity[column])
		return DROP_UNKNOWN_DESTINATION;
	j->destination_identity = destination->identity[column];
	if (source->network != destination->network)
		return DROP_NO_CONNECTION;
	if (source->kind == ADDRESS_LOCAL) {
		j->source_ifindex = source->ifindex;
		endpoint = find_endpoint(source->ifindex, q->rd, q->source);
		if (!endpoint)
			return DROP_STALE_ENDPOINT;
		reason = judge_side(j, q, endpoint->policy[column], j->destination_identity, DIRECTION_EGRESS, column, &j->egress_rule);
		j->grace = grace_of(q, reason, &j->egress_rule);
		if (reason && !j->grace)
			return reason;
		denied = reason;
	}
	if (destination->kind == ADDRESS_LOCAL) {
		j->destination_ifindex = destination->ifindex;
		endpoint = find_endpoint(destination->ifindex, q->rd, q->destination);
		if (!endpoint)
			return DROP_STALE_ENDPOINT;
		reason = judge_side(j, q, endpoint->policy[column], j->source_identity, DIRECTION_INGRESS, column, &j->ingress_rule);
		grace = grace_of(q, reason, &j->ingress_rule);
		if (reason && (!denied || grace < j->grace)) {
			j->grace = grace;
			return reason;
		}
		if (denied) {
			j->direction = DIRECTION_EGRESS;
			j->ingress_rule = 0;
		}
	}
	/* neither side is ours: nothing here decided, so nothing is allowed */
	return j->direction == DIRECTION_NONE ? DROP_NOT_LOCAL : denied;
}

/* A side that has no shadow counts as the rules in force have it, and is not told. */
static __always_inline int imagine_side(const struct endpoint_record *endpoint, const struct question *q, __u32 column, __u32 peer,
					enum direction direction, __u32 *rule)
{
	__u32 untold;

	if (endpoint->shadow[column])
		return ask(q, endpoint->shadow[column], peer, direction, column, rule);
	return ask(q, endpoint->policy[column], peer, direction, column, &untold);
}

/*
 * The same question to the shadows of both sides. It sees nothing of the verdict, so it goes on where that ended at the egress side; and
 * it writes nothing but *shadow, which no verdict is made of. Always 0; a function that is not static is verified by itself, once, and must
 * return a number.
 */
__noinline int imagine(struct shadow *shadow, const struct question *q, __u32 column)
{
	struct address_record *source, *destination;
	struct endpoint_record *from = 0, *to = 0;
	int denied = 0;

	if (!shadow || !q)
		return 0;
	column &= 1;
	source = find_address(q->rd, q->source);
	destination = find_address(q->rd, q->destination);
	if (!source || !source->identity[column] || !destination || !destination->identity[column] ||
	    source->network != destination->network)
		return 0;
	if (source->kind == ADDRESS_LOCAL) {
		from = find_endpoint(source->ifindex, q->rd, q->source);
		if (!from)
			return 0;
	}
	if (destination->kind == ADDRESS_LOCAL) {
		to = find_endpoint(destination->ifindex, q->rd, q->destination);
		if (!to)
			return 0;
	}
	if (!(from && from->shadow[column]) && !(to && to->shadow[column]))
		return 0;
	if (from)
		denied = imagine_side(from, q, column, destination->identity[column], DIRECTION_EGRESS, &shadow->egress_rule);
	if (to && !denied)
		denied = imagine_side(to, q, column, source->identity[column], DIRECTION_INGRESS, &shadow->ingress_rule);
	shadow->verdict = denied ? VERDICT_DENIED : VERDICT_ALLOWED;
	return 0;
}

static __always_inline int judge(struct judgement *j, const struct question *q, __u32 column)
{
	int reason;

	__builtin_memset(j, 0, sizeof(*j));
	reason = judge_flow(j, q, column);
	j->reason = reason;
	imagine(&j->shadow, q, column);
	return reason;
}

#endif
