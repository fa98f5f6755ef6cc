/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector's walk. It runs as a test run of a tc program: a `syscall` program may sleep, and a program that may sleep
 * must not look into an LPM trie on most kernels, which the recheck needs.
 */
#ifndef OSIER_COLLECT_H
#define OSIER_COLLECT_H

#include "conntrack.h"

struct bpf_map;

struct collection {
	struct world world;
	struct collect_request request;
};

static __always_inline __u64 idle_limit(const struct conntrack_key *key, const struct conntrack_entry *entry,
					const struct config_record *c)
{
	/* one that was revoked is remembered as long as if it had gone on: its other side, late, must not begin it anew from the middle */
	if (entry->state == STATE_CLOSED)
		return key->protocol == IPPROTO_SCTP ? timeout(c->sctp_closing, TIMEOUT_SCTP_CLOSING)
						     : timeout(c->tcp_closing, TIMEOUT_TCP_CLOSING);
	switch (key->protocol) {
	case IPPROTO_TCP:
		/* one FIN closes one direction (RFC 9293, 3.6): the other may be silent as long as before. Without an answer it was never open. */
		return entry->packets[1] ? timeout(c->tcp_established, TIMEOUT_TCP_ESTABLISHED) : timeout(c->tcp_syn, TIMEOUT_TCP_SYN);
	case IPPROTO_SCTP:
		return entry->packets[1] ? timeout(c->sctp_established, TIMEOUT_SCTP_ESTABLISHED) : timeout(c->sctp_init, TIMEOUT_SCTP_INIT);
	case IPPROTO_ICMP:
		return timeout(c->icmp, TIMEOUT_ICMP);
	}
	return entry->state == STATE_NEW ? timeout(c->udp_new, TIMEOUT_UDP_NEW) : timeout(c->udp_replied, TIMEOUT_UDP_REPLIED);
}

static long collect_entry(struct bpf_map *map, const struct conntrack_key *found, struct conntrack_entry *entry,
			  struct collection *c)
{
	struct conntrack_key key = *found;
	struct judgement j = {};
	struct question q = {}; /* its own: packets may come in between */
	__u64 last_seen = entry->last_seen;

	c->request.walked++;
	if (c->request.mode == COLLECT_FORGET) {
		if (key.rd != c->request.rd ||
		    !(same_address(key.low, c->request.address) || same_address(key.high, c->request.address)))
			return 0;
		tell_end(&key, entry, &c->world, ENDED_REMOVED);
		bpf_map_delete_elem(&conntrack, &key);
		c->request.forgotten++;
		return 0;
	}
	/* a packet on another CPU may be younger than our clock reading */
	if (last_seen < c->world.now && c->world.now - last_seen > idle_limit(&key, entry, c->world.config)) {
		tell_end(&key, entry, &c->world, ENDED_TIMEOUT);
		bpf_map_delete_elem(&conntrack, &key);
		c->request.expired++;
		return 0;
	}
	if (entry->state >= STATE_CLOSED)
		return 0;
	if (entry->epoch != c->world.epoch) {
		if (recheck(&key, entry, &c->world, &j, &q))
			c->request.revoked++;
	} else if (entry->spared_until && entry->spared_until <= c->world.now) {
		revoke(&key, entry, &c->world);
		c->request.revoked++;
	}
	return 0;
}

static long tell_repeats(struct bpf_map *map, const struct denial_key *found, struct denial_entry *entry, struct collection *c)
{
	struct denial_key key = *found;
	struct flow_event *event;

	if (!entry->repeats || entry->told > c->world.now ||
	    c->world.now - entry->told < timeout(c->world.config->denial_repeat, TIMEOUT_DENIAL_REPEAT))
		return 0;
	event = begin_event();
	if (!event)
		return 0;
	fill_denial(event, &key, entry);
	event->time = c->world.now;
	bpf_ringbuf_submit(event, 0);
	entry->repeats = 0;
	entry->told = c->world.now;
	return 0;
}

#endif
