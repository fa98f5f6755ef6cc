/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a flow may exist. Nothing is allowed that no entry allows. */
#ifndef OSIER_POLICY_H
#define OSIER_POLICY_H

#include "report.h"

#define EXACT_PREFIX 96

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

/* Returns a drop reason; *rule is the deciding one, also for a denial. */
static __always_inline int evaluate(struct policy_key *key, __u32 *rule)
{
	struct policy_entry *exact = bpf_map_lookup_elem(&policy, key);
	struct policy_entry *any;

	key->peer = 0;
	any = bpf_map_lookup_elem(&policy, key);
	if (exact && any) {
		if (any->precedence > exact->precedence)
			exact = any;
		else if (any->precedence == exact->precedence && any->action == ACTION_DENY)
			exact = any;
	} else if (any) {
		exact = any;
	}
	if (!exact)
		return DROP_POLICY_MISSING;
	*rule = exact->rule;
	return exact->action == ACTION_ALLOW ? DROP_NONE : DROP_POLICY_DENIED;
}

/* The tuple of a flow in its original direction. */
struct question {
	__u8 source[16];
	__u8 destination[16];
	__u32 rd;
	__be16 policy_port;
	__u8 protocol;
	__u8 reserved; /* the verifier wants every byte written */
};

static __always_inline int ask(const struct question *q, __u32 subject, __u32 peer, enum direction direction, __u32 *rule)
{
	struct policy_key key = {
		.prefixlen = EXACT_PREFIX,
		.policy = subject,
		.peer = peer,
		.direction = direction,
		.protocol = q->protocol,
		.port = q->policy_port,
	};

	return evaluate(&key, rule);
}

static __always_inline int judge_side(struct judgement *j, const struct question *q, __u32 subject, __u32 peer,
				      enum direction direction, __u32 *rule)
{
	j->direction = direction;
	return ask(q, subject, peer, direction, rule);
}

static __noinline int judge_flow(struct judgement *j, const struct question *q, __u32 column)
{
	struct address_record *source, *destination;
	struct endpoint_record *endpoint;
	int reason;

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
		reason = judge_side(j, q, endpoint->policy[column], j->destination_identity, DIRECTION_EGRESS, &j->egress_rule);
		if (reason)
			return reason;
	}
	if (destination->kind == ADDRESS_LOCAL) {
		j->destination_ifindex = destination->ifindex;
		endpoint = find_endpoint(destination->ifindex, q->rd, q->destination);
		if (!endpoint)
			return DROP_STALE_ENDPOINT;
		reason = judge_side(j, q, endpoint->policy[column], j->source_identity, DIRECTION_INGRESS, &j->ingress_rule);
		if (reason)
			return reason;
	}
	/* neither side is ours: nothing here decided, so nothing is allowed */
	return j->direction == DIRECTION_NONE ? DROP_NOT_LOCAL : DROP_NONE;
}

/* A side that has no shadow counts as the rules in force have it, and is not told. */
static __always_inline int imagine_side(const struct endpoint_record *endpoint, const struct question *q, __u32 column, __u32 peer,
					enum direction direction, __u32 *rule)
{
	__u32 untold;

	if (endpoint->shadow[column])
		return ask(q, endpoint->shadow[column], peer, direction, rule);
	return ask(q, endpoint->policy[column], peer, direction, &untold);
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
