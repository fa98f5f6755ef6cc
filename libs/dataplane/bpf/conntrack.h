/* SPDX-License-Identifier: Apache-2.0 */
/* One entry per flow, shared by both directions and, for two endpoints of one node, by both sides. */
#ifndef OSIER_CONNTRACK_H
#define OSIER_CONNTRACK_H

#include "policy.h"

#define ORIGINAL 0
#define REPLY 1

static __always_inline void make_key(struct conntrack_key *key, struct packet *p, __u32 rd)
{
	int order = 0;

	for (int i = 0; i < 16 && !order; i++)
		order = (int)p->source[i] - (int)p->destination[i];
	if (!order)
		order = (int)bpf_ntohs(p->source_port) - (int)bpf_ntohs(p->destination_port);
	__builtin_memset(key, 0, sizeof(*key));
	key->rd = rd;
	key->protocol = p->protocol;
	copy_address(order > 0 ? key->high : key->low, p->source);
	copy_address(order > 0 ? key->low : key->high, p->destination);
	key->low_port = order > 0 ? p->destination_port : p->source_port;
	key->high_port = order > 0 ? p->source_port : p->destination_port;
	p->from_high = order > 0;
}

static __always_inline void tell_end(const struct conntrack_key *key, struct conntrack_entry *entry, const struct world *w,
				     enum ended_by by)
{
	if (__sync_val_compare_and_swap(&entry->ended, 0, 1) == 0 && (w->config->record_flags & RECORD_END))
		tell_flow(key, entry, w->now, FLOW_END, by);
}

static __noinline void new_question(struct question *q, const struct packet *p, __u32 rd)
{
	copy_address(q->source, p->source);
	copy_address(q->destination, p->destination);
	q->rd = rd;
	q->policy_port = p->policy_port;
	q->protocol = p->protocol;
	q->goes_on = 0;
}

static __always_inline void original_question(struct question *q, const struct conntrack_key *key,
					      const struct conntrack_entry *entry)
{
	copy_address(q->source, entry->initiator_high ? key->high : key->low);
	copy_address(q->destination, entry->initiator_high ? key->low : key->high);
	q->rd = key->rd;
	q->policy_port = entry->policy_port;
	q->protocol = key->protocol;
	q->goes_on = 1;
}

static __always_inline void remember_judgement(struct conntrack_entry *entry, const struct judgement *j, const struct world *w)
{
	entry->revision = w->revision;
	entry->network = j->network;
	entry->egress_rule = j->egress_rule;
	entry->ingress_rule = j->ingress_rule;
	entry->source_identity = j->source_identity;
	entry->destination_identity = j->destination_identity;
	entry->source_ifindex = j->source_ifindex;
	entry->destination_ifindex = j->destination_ifindex;
	entry->epoch = w->epoch;
	entry->shadow_verdict = j->shadow.verdict;
	entry->shadow_egress_rule = j->shadow.egress_rule;
	entry->shadow_ingress_rule = j->shadow.ingress_rule;
}

static __always_inline void revoke(const struct conntrack_key *key, struct conntrack_entry *entry, const struct world *w)
{
	entry->state = STATE_REVOKED;
	tell_end(key, entry, w, ENDED_POLICY);
}

/*
 * Until when a flow that is denied now may go on; 0: it ends. A border spares nobody: not another network, and not who has another device
 * than the one that the flow was with. No change lengthens what a former one granted.
 */
static __always_inline __u64 spare(const struct conntrack_entry *entry, const struct judgement *j, const struct world *w)
{
	__u64 until = j->grace == GRACE_ENDLESS ? ~0ULL : w->now + (__u64)j->grace * 1000000;

	if (j->reason != DROP_POLICY_DENIED || j->network != entry->network || j->source_ifindex != entry->source_ifindex ||
	    j->destination_ifindex != entry->destination_ifindex)
		return 0;
	if (entry->spared_until && entry->spared_until < until)
		until = entry->spared_until;
	return until > w->now ? until : 0;
}

/* Asks the present world about a flow that a former one allowed; `q` is room for the question. */
static __noinline int recheck(const struct conntrack_key *key, struct conntrack_entry *entry, const struct world *w,
			      struct judgement *j, struct question *q)
{
	if (!key || !entry || !w || !j || !q)
		return DROP_INTERNAL;
	__u64 until = 0, former;

	original_question(q, key, entry);
	if (judge(j, q, w->column)) {
		until = spare(entry, j, w);
		if (!until) {
			revoke(key, entry, w);
			/* from now on who denied it, for the denials to come */
			remember_judgement(entry, j, w);
			return j->reason;
		}
	}
	remember_judgement(entry, j, w);
	former = entry->spared_until;
	if (until != former && __sync_val_compare_and_swap(&entry->spared_until, former, until) == former && until &&
	    (w->config->record_flags & RECORD_DENIED))
		tell_flow(key, entry, w->now, FLOW_DENIED, ENDED_NOT);
	return DROP_NONE;
}

static __always_inline void count_packet(struct conntrack_entry *entry, const struct packet *p, const struct world *w, int way)
{
	entry->last_seen = w->now;
	if (way == ORIGINAL) {
		__sync_fetch_and_add(&entry->packets[0], 1);
		__sync_fetch_and_add(&entry->bytes[0], p->length);
	} else {
		__sync_fetch_and_add(&entry->packets[1], 1);
		__sync_fetch_and_add(&entry->bytes[1], p->length);
	}
}

static __always_inline void advance(const struct conntrack_key *key, struct conntrack_entry *entry, const struct packet *p,
				    const struct world *w, int way)
{
	if (entry->state == STATE_NEW && way == REPLY)
		entry->state = STATE_ESTABLISHED;
	if (p->sctp_chunks & (SCTP_ABORT | SCTP_SHUTDOWN_COMPLETE)) {
		entry->state = STATE_CLOSED;
		tell_end(key, entry, w, p->sctp_chunks & SCTP_ABORT ? ENDED_RST : ENDED_FIN);
	}
	if (p->protocol != IPPROTO_TCP)
		return;
	if (p->tcp_flags & TCP_RST) {
		entry->state = STATE_CLOSED;
		tell_end(key, entry, w, ENDED_RST);
	} else if (p->tcp_flags & TCP_FIN) {
		entry->fins |= 1 << way;
		if (entry->fins == 3) {
			entry->state = STATE_CLOSED;
			tell_end(key, entry, w, ENDED_FIN);
		} else if (entry->state != STATE_CLOSED) {
			entry->state = STATE_CLOSING;
		}
	}
}

/* Whether only the first packet of a connection looks like that. */
static __always_inline int opens(const struct packet *p)
{
	if (p->protocol == IPPROTO_TCP)
		return (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return p->protocol == IPPROTO_SCTP && p->sctp_chunks & SCTP_INIT;
}

/* Whether this packet asks for a flow of its own although its tuple has an entry. */
static __always_inline int begins_anew(const struct conntrack_entry *entry, const struct packet *p, int way)
{
	switch (p->protocol) {
	case IPPROTO_TCP:
		return opens(p) && (way == REPLY || entry->state >= STATE_CLOSING);
	case IPPROTO_SCTP:
		/* an INIT in the middle of its own association starts that one again (RFC 9260, 5.2.2) */
		return opens(p) && (way == REPLY || entry->state >= STATE_CLOSED);
	case IPPROTO_ICMP:
		return p->icmp_type == ICMP_ECHO_REQUEST && (way == REPLY || entry->state == STATE_REVOKED);
	}
	return way == ORIGINAL && entry->state == STATE_REVOKED;
}

static __always_inline int may_begin(const struct packet *p)
{
	if (p->protocol == IPPROTO_TCP)
		return !(p->tcp_flags & TCP_RST);
	if (p->protocol == IPPROTO_SCTP)
		return !(p->sctp_chunks & (SCTP_ABORT | SCTP_SHUTDOWN_COMPLETE));
	if (p->protocol == IPPROTO_ICMP)
		return p->icmp_type == ICMP_ECHO_REQUEST;
	return 1;
}

static __noinline int begin_flow(const struct conntrack_key *key, const struct packet *p, const struct world *w,
				 const struct judgement *j)
{
	struct conntrack_entry entry = {};

	if (!key || !p || !w || !j)
		return DROP_INTERNAL;
	entry.first_seen = w->now;
	entry.last_seen = w->now;
	entry.packets[0] = 1;
	entry.bytes[0] = p->length;
	entry.state = STATE_NEW;
	entry.initiator_high = p->from_high;
	entry.policy_port = p->policy_port;
	if (p->tcp_flags & TCP_FIN) {
		entry.fins = 1;
		entry.state = STATE_CLOSING;
	}
	remember_judgement(&entry, j, w);
	if (bpf_map_update_elem(&conntrack, key, &entry, BPF_ANY))
		return DROP_CONNTRACK_FULL;
	if (w->config->record_flags & RECORD_START)
		tell_flow(key, &entry, w->now, FLOW_START, ENDED_NOT);
	return DROP_NONE;
}

/* What was decided of the flow last, as the reason why a packet of it does not pass. */
static __always_inline int deny_again(const struct conntrack_entry *entry, struct judgement *j)
{
	j->network = entry->network;
	j->egress_rule = entry->egress_rule;
	j->ingress_rule = entry->ingress_rule;
	j->source_identity = entry->source_identity;
	j->destination_identity = entry->destination_identity;
	j->direction = entry->ingress_rule ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	j->shadow.verdict = entry->shadow_verdict;
	j->shadow.egress_rule = entry->shadow_egress_rule;
	j->shadow.ingress_rule = entry->shadow_ingress_rule;
	j->reason = DROP_POLICY_DENIED;
	return DROP_POLICY_DENIED;
}

static __always_inline int follow(const struct conntrack_key *key, struct conntrack_entry *entry, const struct packet *p,
				  const struct world *w, struct judgement *j, struct question *q, int way)
{
	if (entry->state == STATE_REVOKED) {
		entry->last_seen = w->now; /* as long as it talks it stays closed */
		return deny_again(entry, j);
	}
	if (entry->epoch != w->epoch && recheck(key, entry, w, j, q))
		return j->reason;
	if (entry->spared_until) {
		int over = entry->spared_until <= w->now;

		if (over)
			revoke(key, entry, w);
		/* what is spared is the connection that was there, and no new one */
		if (over || (opens(p) && !p->related))
			return deny_again(entry, j);
	}
	count_packet(entry, p, w, way);
	if (!p->related)
		advance(key, entry, p, w, way);
	return DROP_NONE;
}

/* The verdict of every packet between two known endpoints: 0 or a drop reason, which is then in *j as well. */
static __noinline int track(struct packet *p, const struct world *w, struct judgement *j, __u32 rd)
{
	struct conntrack_entry *entry;
	struct scratch *s = find_scratch();
	struct conntrack_key *key;
	struct question *q;
	int way;

	if (!p || !w || !j || !s)
		return DROP_INTERNAL;
	key = &s->flow;
	q = &s->question;
	make_key(key, p, rd);
	entry = bpf_map_lookup_elem(&conntrack, key);
	if (entry) {
		way = p->from_high == entry->initiator_high ? ORIGINAL : REPLY;
		if (p->related || !begins_anew(entry, p, way))
			return follow(key, entry, p, w, j, q, way);
	}
	if (p->related || !may_begin(p)) {
		j->reason = DROP_NO_FLOW;
		return DROP_NO_FLOW;
	}
	new_question(q, p, rd);
	if (judge(j, q, w->column))
		return j->reason;
	if (entry)
		tell_end(key, entry, w, entry->state == STATE_CLOSING ? ENDED_FIN : ENDED_REPLACED);
	j->reason = begin_flow(key, p, w, j);
	return j->reason;
}

#endif
