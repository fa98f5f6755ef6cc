/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes to a `struct packet`, and the few bytes that change on the way. */
#ifndef OSIER_PACKET_H
#define OSIER_PACKET_H

#include "maps.h"
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>

#define ROUTER_MAC { 0x02, 0x6f, 0x73, 0x69, 0x65, 0x72 }
#define IP_OFFSET 14
#define IP_MORE_FRAGMENTS_OR_OFFSET 0x3fff

#define TCP_HEADER 20
#define UDP_HEADER 8
#define ICMP_HEADER 8
#define SCTP_HEADER 12 /* RFC 9260, 3.1 */
#define SCTP_CHUNK_HEADER 4

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Chunk types as bits (RFC 9260, 3.2). */
#define SCTP_INIT (1 << 1)
#define SCTP_INIT_ACK (1 << 2)
#define SCTP_ABORT (1 << 6)
#define SCTP_SHUTDOWN_COMPLETE (1 << 14)
#define SCTP_ALONE (SCTP_INIT | SCTP_INIT_ACK | SCTP_SHUTDOWN_COMPLETE) /* RFC 9260, 6.10 */
#define SCTP_INIT_LENGTH 20
/* No DATA goes with an ABORT, and nothing follows it (RFC 9260, 3.3.7): a lawful one is never behind so many. */
#define SCTP_CHUNKS_READ 32

#define ICMP_UNREACHABLE 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8

struct packet {
	__u8 source[16];
	__u8 destination[16];
	__u32 length; /* of the IP packet, as its header says: what a frame has behind it is padding */
	__be16 source_port; /* as in conntrack_key */
	__be16 destination_port;
	__be16 policy_port; /* as in policy_key */
	__u8 protocol;
	__u8 ttl;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 from_high; /* the sender is the `high` side of its conntrack_key */
	__u16 sctp_chunks; /* the types below 16 that are in it */
	__u8 related; /* an ICMP error: ports and protocol are those of the flow it is about */
};

static __always_inline void copy_address(__u8 *to, const __u8 *from)
{
	__builtin_memcpy(to, from, 16);
}

static __always_inline void map_ipv4(__u8 *to, __be32 address)
{
	__builtin_memset(to, 0, 10);
	to[10] = 0xff;
	to[11] = 0xff;
	__builtin_memcpy(to + 12, &address, 4);
}

static __always_inline int same_address(const __u8 *a, const __u8 *b)
{
	for (int i = 0; i < 16; i++)
		if (a[i] != b[i])
			return 0;
	return 1;
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	for (int i = 0; i < 6; i++)
		if (a[i] != b[i])
			return 0;
	return 1;
}

/* Whether the IP packet itself, and not the padding behind it, holds these bytes. */
static __always_inline int holds(const struct packet *p, __u32 offset, __u32 size)
{
	return offset + size <= IP_OFFSET + p->length;
}

/* An ICMP error must be about a packet that its receiver sent to its sender: there is no router between two endpoints. */
static __always_inline int parse_icmp_error(struct __sk_buff *skb, struct packet *p, const struct iphdr *outer, __u32 offset)
{
	struct iphdr inner;
	__be16 ports[4];

	if (!holds(p, offset + ICMP_HEADER, sizeof(inner)))
		return DROP_MALFORMED;
	if (bpf_skb_load_bytes(skb, offset + ICMP_HEADER, &inner, sizeof(inner)) || inner.version != 4 || inner.ihl < 5)
		return DROP_MALFORMED;
	if (inner.saddr != outer->daddr || inner.daddr != outer->saddr)
		return DROP_NO_FLOW;
	offset += ICMP_HEADER + inner.ihl * 4;
	if (!holds(p, offset, sizeof(ports)) || bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return DROP_MALFORMED;
	p->related = 1;
	p->protocol = inner.protocol;
	if (inner.protocol == IPPROTO_ICMP) {
		p->source_port = ports[2];
		p->destination_port = ports[2];
	} else {
		p->source_port = ports[1];
		p->destination_port = ports[0];
	}
	return DROP_NONE;
}

static __always_inline int parse_icmp(struct __sk_buff *skb, struct packet *p, const struct iphdr *ip, __u32 offset)
{
	struct { __u8 type, code; __be16 checksum, id, sequence; } icmp;

	if (!holds(p, offset, ICMP_HEADER) || bpf_skb_load_bytes(skb, offset, &icmp, sizeof(icmp)))
		return DROP_MALFORMED;
	p->icmp_type = icmp.type;
	switch (icmp.type) {
	case ICMP_ECHO_REQUEST:
	case ICMP_ECHO_REPLY:
		p->source_port = icmp.id;
		p->destination_port = icmp.id;
		p->policy_port = bpf_htons(icmp.type << 8 | icmp.code);
		return DROP_NONE;
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETER_PROBLEM:
		return parse_icmp_error(skb, p, ip, offset);
	}
	return DROP_ICMP_TYPE;
}

/*
 * The chunks of an SCTP packet: all that were read must lie in it whole. What may not be bundled is malformed when it is, so that no INIT
 * hides behind another chunk; a packet whose tag is 0 is an INIT (RFC 9260, 6.10 and 8.5.1).
 */
static __noinline int parse_chunks(struct __sk_buff *skb, struct packet *p, __u32 offset)
{
	struct { __u8 type, flags; __be16 length; } chunk;
	__u32 end, tag, count, length;

	if (!p || bpf_skb_load_bytes(skb, offset + 4, &tag, sizeof(tag)))
		return DROP_MALFORMED;
	end = IP_OFFSET + p->length;
	offset += SCTP_HEADER;
	for (count = 0; count < SCTP_CHUNKS_READ && offset < end; count++) {
		if (!holds(p, offset, SCTP_CHUNK_HEADER) || bpf_skb_load_bytes(skb, offset, &chunk, sizeof(chunk)))
			return DROP_MALFORMED;
		length = bpf_ntohs(chunk.length);
		if (length < SCTP_CHUNK_HEADER || !holds(p, offset, length))
			return DROP_MALFORMED;
		if (chunk.type < 16)
			p->sctp_chunks |= 1 << chunk.type;
		if (chunk.type == 1 && length < SCTP_INIT_LENGTH)
			return DROP_MALFORMED;
		offset += (length + 3) & ~3U;
	}
	if (!count || (p->sctp_chunks & SCTP_ALONE && count > 1))
		return DROP_MALFORMED;
	return !tag == !(p->sctp_chunks & SCTP_INIT) ? DROP_MALFORMED : DROP_NONE;
}

static __always_inline int parse_sctp(struct __sk_buff *skb, struct packet *p, __u32 offset)
{
	__be16 ports[2];

	if (!holds(p, offset, SCTP_HEADER) || bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return DROP_MALFORMED;
	p->source_port = ports[0];
	p->destination_port = ports[1];
	p->policy_port = ports[1];
	return parse_chunks(skb, p, offset);
}

static __always_inline int parse_ports(struct __sk_buff *skb, struct packet *p, __u32 offset)
{
	__be16 ports[2];

	if (!holds(p, offset, p->protocol == IPPROTO_TCP ? TCP_HEADER : UDP_HEADER))
		return DROP_MALFORMED;
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return DROP_MALFORMED;
	p->source_port = ports[0];
	p->destination_port = ports[1];
	p->policy_port = ports[1];
	if (p->protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, offset + 13, &p->tcp_flags, 1))
			return DROP_MALFORMED;
		if (bpf_skb_load_bytes(skb, offset + 16, ports, sizeof(ports)))
			return DROP_MALFORMED;
	} else if (bpf_skb_load_bytes(skb, offset + 4, ports, sizeof(ports))) {
		return DROP_MALFORMED;
	}
	return DROP_NONE;
}

/* Fills *p as far as it can, so that a refusal can be told with its addresses. */
static __noinline int parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr ip;
	__u32 offset;

	if (bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return DROP_MALFORMED;
	p->length = skb->len - IP_OFFSET;
	map_ipv4(p->source, ip.saddr);
	map_ipv4(p->destination, ip.daddr);
	p->protocol = ip.protocol;
	p->ttl = ip.ttl;
	/* a packet of more than 64 KiB (BIG TCP) says 0 */
	if (bpf_ntohs(ip.tot_len) > p->length || (!ip.tot_len && !skb->gso_size))
		return DROP_MALFORMED;
	if (ip.tot_len)
		p->length = bpf_ntohs(ip.tot_len);
	if (p->length < ip.ihl * 4)
		return DROP_MALFORMED;
	if (ip.frag_off & bpf_htons(IP_MORE_FRAGMENTS_OR_OFFSET))
		return DROP_FRAGMENT;
	offset = IP_OFFSET + ip.ihl * 4;
	switch (ip.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return parse_ports(skb, p, offset);
	case IPPROTO_SCTP:
		return parse_sctp(skb, p, offset);
	case IPPROTO_ICMP:
		return parse_icmp(skb, p, &ip, offset);
	}
	return DROP_PROTOCOL;
}

static __always_inline int decrement_ttl(struct __sk_buff *skb, const struct packet *p)
{
	__u8 ttl = p->ttl - 1;

	/* TTL shares its 16-bit word with the protocol */
	if (bpf_l3_csum_replace(skb, IP_OFFSET + 10, bpf_htons(p->ttl << 8), bpf_htons(ttl << 8), 2))
		return DROP_INTERNAL;
	if (bpf_skb_store_bytes(skb, IP_OFFSET + 8, &ttl, 1, 0))
		return DROP_INTERNAL;
	return DROP_NONE;
}

static __always_inline int rewrite_macs(struct __sk_buff *skb, const __u8 *destination)
{
	__u8 macs[12] = { 0, 0, 0, 0, 0, 0, 0x02, 0x6f, 0x73, 0x69, 0x65, 0x72 };

	__builtin_memcpy(macs, destination, 6);
	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) ? DROP_INTERNAL : DROP_NONE;
}

#endif
