/* SPDX-License-Identifier: Apache-2.0 */
/*
 *  workload eth0 ──► host veth ──[from_endpoint]──┬─ same node ──► redirect_peer ──► other workload's eth0
 *                    host veth ◄─[to_endpoint]    │                     ▲
 *                     (a seal: drops all)         └─ other node ─► VXLAN device ═══ underlay
 *                                                                       │
 *                    other workload's eth0 ◄── redirect_peer ◄──[from_vxlan]◄── VXLAN device
 *
 * Nothing that enters here ever reaches the host's stack: it is delivered or dropped, and every drop is counted.
 *
 * The deepest calls are to walk_layers (policy.h), with 512 bytes of stack for all, of which older kernels count each call's in steps of 32:
 * what is not on that way and needs some is __noinline.
 */
#include "collect.h"

struct arp_ipv4 {
	__be16 hardware, protocol;
	__u8 hardware_length, protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
};

_Static_assert(sizeof(struct arp_ipv4) == 28, "ARP has no padding");

static __always_inline int same_ipv4(const __u8 *address, const __u8 *ip)
{
	return address[12] == ip[0] && address[13] == ip[1] && address[14] == ip[2] && address[15] == ip[3];
}

/* Every address is at the router, except the asker's own: a workload that checks for a duplicate must hear nothing. */
static __noinline int answer_arp(struct __sk_buff *skb, const struct endpoint_record *endpoint)
{
	struct arp_ipv4 arp;
	__u8 router[6] = ROUTER_MAC;
	__u8 asked[4];

	if (bpf_skb_load_bytes(skb, IP_OFFSET, &arp, sizeof(arp)))
		return drop(skb, DROP_MALFORMED);
	if (arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_length != 6 ||
	    arp.protocol_length != 4)
		return drop(skb, DROP_MALFORMED);
	if (!same_mac(arp.sender_mac, endpoint->mac) || !same_ipv4(endpoint->address, arp.sender_ip))
		return drop(skb, DROP_SPOOFED_SOURCE);
	if (arp.operation != bpf_htons(1) || same_ipv4(endpoint->address, arp.target_ip))
		return drop(skb, DROP_ARP_IGNORED);
	arp.operation = bpf_htons(2);
	__builtin_memcpy(asked, arp.target_ip, 4);
	__builtin_memcpy(arp.target_mac, arp.sender_mac, 6);
	__builtin_memcpy(arp.target_ip, arp.sender_ip, 4);
	__builtin_memcpy(arp.sender_mac, router, 6);
	__builtin_memcpy(arp.sender_ip, asked, 4);
	if (bpf_skb_store_bytes(skb, IP_OFFSET, &arp, sizeof(arp), 0) || rewrite_macs(skb, arp.target_mac))
		return drop(skb, DROP_INTERNAL);
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(skb->ifindex, 0);
}

static __always_inline int refuse(struct __sk_buff *skb, const struct packet *p, struct judgement *j, const struct world *w,
				  __u32 rd, int reason)
{
	j->reason = reason;
	tell_denial(p, j, w, rd);
	return drop(skb, reason);
}

static __always_inline int deliver_local(struct __sk_buff *skb, const struct endpoint_record *endpoint, __u32 ifindex)
{
	__u8 mac[6];

	__builtin_memcpy(mac, endpoint->mac, 6);
	if (rewrite_macs(skb, mac))
		return drop(skb, DROP_INTERNAL);
	/* the packet was addressed to the router's MAC, which no device has */
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(ifindex, 0);
}

static __noinline int deliver_remote(struct __sk_buff *skb, const struct address_record *destination,
					  const struct config_record *config_now)
{
	struct bpf_tunnel_key tunnel = { .tunnel_id = destination->target_rd, .tunnel_ttl = 64 };
	__u8 router[6] = ROUTER_MAC;
	__be32 address;

	__builtin_memcpy(&address, destination->tunnel + 12, 4);
	tunnel.remote_ipv4 = bpf_ntohl(address);
	__builtin_memcpy(&address, config_now->underlay + 12, 4);
	tunnel.local_ipv4 = bpf_ntohl(address);
	/* kernels before 6.0 know no local address in the key */
	if (bpf_skb_set_tunnel_key(skb, &tunnel, sizeof(tunnel), BPF_F_ZERO_CSUM_TX) &&
	    bpf_skb_set_tunnel_key(skb, &tunnel, __builtin_offsetof(struct bpf_tunnel_key, local_ipv4), BPF_F_ZERO_CSUM_TX))
		return drop(skb, DROP_INTERNAL);
	if (rewrite_macs(skb, router))
		return drop(skb, DROP_INTERNAL);
	return bpf_redirect(config_now->vxlan_ifindex, 0);
}

static __always_inline int ethertype_reason(const struct __sk_buff *skb, __be16 ethertype)
{
	if (skb->vlan_present)
		return DROP_ETHERTYPE;
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return DROP_IPV6;
	return ethertype == bpf_htons(ETH_P_IP) ? DROP_NONE : DROP_ETHERTYPE;
}

/* Packets of known shape from a workload whose source is proven. */
static __always_inline int route(struct __sk_buff *skb, struct packet *p, const struct world *w, __u32 rd)
{
	struct judgement j = { .source_ifindex = skb->ifindex };
	struct address_record *destination = find_address(rd, p->destination);
	struct endpoint_record *target = 0;
	int reason;

	if (p->ttl <= 1)
		return refuse(skb, p, &j, w, rd, DROP_TTL_EXCEEDED);
	if (!destination)
		return refuse(skb, p, &j, w, rd, DROP_UNKNOWN_DESTINATION);
	if (destination->kind == ADDRESS_LOCAL) {
		target = find_endpoint(destination->ifindex, destination->target_rd, p->destination);
		if (!target)
			return refuse(skb, p, &j, w, rd, DROP_STALE_ENDPOINT);
	} else if (!w->config->vxlan_ifindex) {
		return refuse(skb, p, &j, w, rd, DROP_NOT_CONFIGURED);
	}
	reason = track(p, w, &j, rd);
	if (reason)
		return refuse(skb, p, &j, w, rd, reason);
	if (decrement_ttl(skb, p))
		return drop(skb, DROP_INTERNAL);
	if (target)
		return deliver_local(skb, target, destination->ifindex);
	return deliver_remote(skb, destination, w->config);
}

SEC("tc")
int from_endpoint(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct endpoint_record *endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);
	struct world w = {};
	struct packet p = {};
	struct ethhdr eth;
	int reason;

	if (!endpoint)
		return drop(skb, DROP_UNKNOWN_ENDPOINT);
	if (!(endpoint->flags & ENDPOINT_ACTIVE))
		return drop(skb, DROP_INACTIVE_ENDPOINT);
	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return drop(skb, DROP_MALFORMED);
	if (!same_mac(eth.h_source, endpoint->mac))
		return drop(skb, DROP_SPOOFED_SOURCE);
	if (eth.h_proto == bpf_htons(ETH_P_ARP) && !skb->vlan_present)
		return answer_arp(skb, endpoint);
	reason = ethertype_reason(skb, eth.h_proto);
	if (reason)
		return drop(skb, reason);
	if (enter_world(&w))
		return drop(skb, DROP_INTERNAL);
	reason = parse_ipv4(skb, &p);
	if (reason != DROP_MALFORMED && !same_address(p.source, endpoint->address))
		reason = DROP_SPOOFED_SOURCE;
	if (reason) {
		struct judgement j = { .network = endpoint->network, .source_ifindex = ifindex };

		return refuse(skb, &p, &j, &w, endpoint->rd, reason);
	}
	return route(skb, &p, &w, endpoint->rd);
}

SEC("tc")
int to_endpoint(struct __sk_buff *skb)
{
	return drop(skb, DROP_SEALED);
}

static __always_inline int receive(struct __sk_buff *skb, struct packet *p, const struct world *w, __u32 rd, const __u8 *outer)
{
	struct judgement j = {};
	struct address_record *source = find_address(rd, p->source);
	struct address_record *destination;
	struct endpoint_record *target;
	int reason;

	/* no node sends that: it counts a hop and drops what has none left */
	if (!p->ttl)
		return refuse(skb, p, &j, w, rd, DROP_TTL_EXCEEDED);
	if (!source)
		return refuse(skb, p, &j, w, rd, DROP_UNKNOWN_PEER);
	j.network = source->network;
	if (source->kind != ADDRESS_REMOTE || !same_address(source->tunnel, outer))
		return refuse(skb, p, &j, w, rd, DROP_SPOOFED_TUNNEL);
	destination = find_address(rd, p->destination);
	if (!destination)
		return refuse(skb, p, &j, w, rd, DROP_UNKNOWN_DESTINATION);
	if (destination->kind != ADDRESS_LOCAL)
		return refuse(skb, p, &j, w, rd, DROP_NOT_LOCAL);
	target = find_endpoint(destination->ifindex, rd, p->destination);
	if (!target)
		return refuse(skb, p, &j, w, rd, DROP_STALE_ENDPOINT);
	reason = track(p, w, &j, rd);
	if (reason)
		return refuse(skb, p, &j, w, rd, reason);
	return deliver_local(skb, target, destination->ifindex);
}

/* Whose packet it says it is, and the tunnel endpoint that it came from. */
static __noinline int read_tunnel(struct __sk_buff *skb, __u32 *rd, __u8 *outer)
{
	struct bpf_tunnel_key tunnel = {};

	if (!rd || !outer || bpf_skb_get_tunnel_key(skb, &tunnel, __builtin_offsetof(struct bpf_tunnel_key, local_ipv4), 0))
		return DROP_MALFORMED;
	*rd = tunnel.tunnel_id;
	map_ipv4(outer, bpf_htonl(tunnel.remote_ipv4));
	return DROP_NONE;
}

SEC("tc")
int from_vxlan(struct __sk_buff *skb)
{
	__u8 outer[16] = {};
	__u32 rd = 0;
	struct world w = {};
	struct packet p = {};
	struct ethhdr eth;
	int reason;

	if (read_tunnel(skb, &rd, outer))
		return drop(skb, DROP_MALFORMED);
	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return drop(skb, DROP_MALFORMED);
	reason = ethertype_reason(skb, eth.h_proto);
	if (reason)
		return drop(skb, reason);
	if (enter_world(&w))
		return drop(skb, DROP_INTERNAL);
	reason = parse_ipv4(skb, &p);
	if (reason) {
		struct judgement j = {};

		return refuse(skb, &p, &j, &w, rd, reason);
	}
	return receive(skb, &p, &w, rd, outer);
}

SEC("tc")
int collect(struct __sk_buff *skb)
{
	struct collection c = {};

	if (enter_world(&c.world) || bpf_skb_load_bytes(skb, IP_OFFSET, &c.request, sizeof(c.request)))
		return TC_ACT_SHOT;
	bpf_for_each_map_elem(&conntrack, collect_entry, &c, 0);
	if (c.request.mode == COLLECT_EXPIRE)
		bpf_for_each_map_elem(&denials, tell_repeats, &c, 0);
	if (bpf_skb_store_bytes(skb, IP_OFFSET, &c.request, sizeof(c.request), 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

/* Types that no map names, kept in the BTF for the record generator. */
SEC(".osier.types") const struct {
	enum limits limits;
	enum program_limits program_limits;
	enum timeouts timeouts;
	enum grace grace;
	enum endpoint_flag endpoint_flag;
	enum record_flag record_flag;
	enum action action;
	enum collect_mode collect_mode;
	enum drop_reason drop_reason;
	struct flow_event flow_event;
	struct collect_request collect_request;
} osier_types = {};

char LICENSE[] SEC("license") = "Apache-2.0";
