/* SPDX-License-Identifier: Apache-2.0 */
/* What is told: drop counters, flow records, and how many of those were lost. */
#ifndef OSIER_REPORT_H
#define OSIER_REPORT_H

#include "packet.h"

/* The world that a packet sees from its first instruction to its last. */
struct world {
	const struct config_record *config;
	__u64 now;
	__u64 revision;
	__u32 epoch;
	__u32 column;
};

/* What rules that are not in force would say about a flow. Told, and never asked for a verdict. */
struct shadow {
	__u32 egress_rule;
	__u32 ingress_rule;
	enum verdict verdict;
};

/* What the policies say about a flow, in its original direction. */
struct judgement {
	__u32 network;
	__u32 egress_rule;
	__u32 ingress_rule;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 source_ifindex;
	__u32 destination_ifindex;
	enum direction direction;
	enum drop_reason reason;
	__u32 grace; /* how long a denial lets a flow go on that was allowed before */
	struct shadow shadow;
};

static __always_inline int enter_world(struct world *w)
{
	__u32 zero = 0;
	const struct config_record *config_now = bpf_map_lookup_elem(&config, &zero);
	__u64 *revision;

	if (!config_now)
		return DROP_INTERNAL;
	w->config = config_now;
	w->epoch = *(volatile const __u32 *)&config_now->epoch;
	w->column = w->epoch & 1;
	w->now = bpf_ktime_get_boot_ns();
	revision = bpf_map_lookup_elem(&revisions, &w->column);
	w->revision = revision ? *revision : 0;
	return DROP_NONE;
}

/* Milliseconds of a setting, or its default, in nanoseconds. */
static __always_inline __u64 timeout(__u32 setting, __u32 otherwise)
{
	return (__u64)(setting ? setting : otherwise) * 1000000;
}

static __always_inline int drop(struct __sk_buff *skb, __u32 reason)
{
	struct drop_count *count = bpf_map_lookup_elem(&drops, &reason);

	if (count) {
		count->packets += 1;
		count->bytes += skb->len;
	}
	return TC_ACT_SHOT;
}

static __always_inline void count_lost(void)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&lost, &zero);

	if (count)
		*count += 1;
}

static __always_inline struct flow_event *begin_event(void)
{
	struct flow_event *event = bpf_ringbuf_reserve(&flows, sizeof(*event), 0);

	if (!event)
		count_lost();
	else
		__builtin_memset(event, 0, sizeof(*event));
	return event;
}

/* It does not ask whether its pointers are there: of one that is on the stack and is not, the compiler would make what is returned. */
static __noinline void tell_flow(const struct conntrack_key *key, const struct conntrack_entry *entry, __u64 now,
				 enum flow_kind kind, enum ended_by ended_by)
{
	struct flow_event *event = begin_event();

	if (!event)
		return;
	event->time = now;
	event->first_seen = entry->first_seen;
	event->revision = entry->revision;
	event->packets[0] = entry->packets[0];
	event->packets[1] = entry->packets[1];
	event->bytes[0] = entry->bytes[0];
	event->bytes[1] = entry->bytes[1];
	copy_address(event->source, entry->initiator_high ? key->high : key->low);
	copy_address(event->destination, entry->initiator_high ? key->low : key->high);
	event->source_port = bpf_ntohs(entry->initiator_high ? key->high_port : key->low_port);
	event->destination_port = bpf_ntohs(entry->policy_port);
	event->rd = key->rd;
	event->protocol = key->protocol;
	event->network = entry->network;
	event->egress_rule = entry->egress_rule;
	event->ingress_rule = entry->ingress_rule;
	event->source_identity = entry->source_identity;
	event->destination_identity = entry->destination_identity;
	event->source_ifindex = entry->source_ifindex;
	event->destination_ifindex = entry->destination_ifindex;
	event->kind = kind;
	event->ended_by = ended_by;
	event->direction = entry->ingress_rule ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	event->verdict = VERDICT_ALLOWED;
	event->reason = kind == FLOW_DENIED ? DROP_POLICY_DENIED : DROP_NONE;
	event->shadow_verdict = entry->shadow_verdict;
	event->shadow_egress_rule = entry->shadow_egress_rule;
	event->shadow_ingress_rule = entry->shadow_ingress_rule;
	event->spared_until = entry->spared_until;
	bpf_ringbuf_submit(event, 0);
}

static __always_inline void fill_denial(struct flow_event *event, const struct denial_key *key, const struct denial_entry *entry)
{
	event->time = entry->told;
	event->first_seen = entry->told;
	event->revision = entry->revision;
	copy_address(event->source, key->source);
	copy_address(event->destination, key->destination);
	event->rd = key->rd;
	event->protocol = key->protocol;
	event->reason = key->reason;
	event->destination_port = bpf_ntohs(key->destination_port);
	event->network = entry->network;
	event->egress_rule = entry->egress_rule;
	event->ingress_rule = entry->ingress_rule;
	event->source_identity = entry->source_identity;
	event->destination_identity = entry->destination_identity;
	event->direction = entry->direction;
	event->repeats = entry->repeats;
	event->kind = FLOW_DENIED;
	event->verdict = VERDICT_DENIED;
	event->shadow_verdict = entry->shadow_verdict;
	event->shadow_egress_rule = entry->shadow_egress_rule;
	event->shadow_ingress_rule = entry->shadow_ingress_rule;
}

static __noinline void tell_denial(const struct packet *p, const struct judgement *j, const struct world *w, __u32 rd)
{
	struct denial_key key = {};
	struct denial_entry fresh = {};
	struct denial_entry *known;
	struct flow_event *event;

	if (!p || !j || !w || !(w->config->record_flags & RECORD_DENIED))
		return;
	/* one entry for all forged sources, or they would push out everything else */
	if (j->reason != DROP_SPOOFED_SOURCE)
		copy_address(key.source, p->source);
	copy_address(key.destination, p->destination);
	key.rd = rd;
	key.destination_port = p->policy_port;
	key.protocol = p->protocol;
	key.reason = j->reason;
	known = bpf_map_lookup_elem(&denials, &key);
	if (known && w->now - known->told < timeout(w->config->denial_repeat, TIMEOUT_DENIAL_REPEAT)) {
		__sync_fetch_and_add(&known->repeats, 1);
		return;
	}
	fresh.told = w->now;
	fresh.repeats = known ? known->repeats : 0;
	fresh.revision = w->revision;
	fresh.network = j->network;
	fresh.egress_rule = j->egress_rule;
	fresh.ingress_rule = j->ingress_rule;
	fresh.source_identity = j->source_identity;
	fresh.destination_identity = j->destination_identity;
	fresh.direction = j->direction;
	fresh.shadow_verdict = j->shadow.verdict;
	fresh.shadow_egress_rule = j->shadow.egress_rule;
	fresh.shadow_ingress_rule = j->shadow.ingress_rule;
	event = begin_event();
	if (event) {
		fill_denial(event, &key, &fresh);
		copy_address(event->source, p->source);
		event->source_port = bpf_ntohs(p->source_port);
		event->source_ifindex = j->source_ifindex;
		event->destination_ifindex = j->destination_ifindex;
		event->packets[0] = 1;
		event->bytes[0] = p->length;
		bpf_ringbuf_submit(event, 0);
	}
	fresh.repeats = 0;
	bpf_map_update_elem(&denials, &key, &fresh, BPF_ANY);
}

#endif
