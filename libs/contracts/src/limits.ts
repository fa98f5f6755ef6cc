/**
 * Every limit of the language of the bus, declared once. What happens at each one is said beside it; the kernel's own
 * limits (map sizes) are declared in `libs/dataplane/bpf/records.h`.
 */
export const limits = {
  /** Characters of a name: a DNS label (RFC 1035, 2.3.4). Longer: refused, `too-long`. */
  nameLength: 63,
  /** Bytes of an intent's body. Larger: refused, `too-large`. */
  intentBytes: 256 * 1024,
  /** Tags of one endpoint. More: refused, `too-many`. */
  tagsPerEndpoint: 64,
  /** Characters of a tag's key or value (the Kubernetes limit for a label value; keys may carry a DNS prefix). */
  tagKeyLength: 317,
  tagValueLength: 63,
  /** Subnets of one network. More: refused, `too-many`. */
  subnetsPerNetwork: 16,
  /** Rules of one policy in one direction. More: refused, `too-many`. */
  rulesPerDirection: 256,
  /** Peers or ports named by one rule. More: refused, `too-many`. */
  itemsPerRule: 256,
  /** Tags whose values one peer must have the same of. More: refused, `too-many`. */
  sameTagsPerPeer: 16,
  /** Prefixes of one address group, and as many exceptions. More: refused, `too-many`. */
  cidrsPerGroup: 1000,
  /** Seconds for which a connection that a policy denies since a change may go on. More: refused, `out-of-range`. */
  drainSeconds: 3600,
  /** Milliseconds after the receipt of a change within which every connection that it cuts has its flow record `end`, however silent it is; of one that drains, after its time. No packet of it passes meanwhile. */
  endToldMs: 5_000,
  /** Domains, projects or environments that one policy names. More: refused, `too-many`. */
  scopesPerPolicy: 256,
  /** Ports that an endpoint may declare. More: refused, `too-many`. */
  portsPerEndpoint: 64,
  /** Credentials of one domain: each may have as many connections as it likes, and a server only so many in all. More: refused, `too-many`. */
  credentialsPerDomain: 100,
  /** Keys of one credential, so that one can replace another without a gap. More: refused, `too-many`. */
  keysPerCredential: 4,
  /** Keys that were taken out of a credential before they expired. More: refused, `too-many-revoked`, until one of them has expired. */
  revokedKeysPerCredential: 32,
  /** Days that a key may count for. Later: refused, `out-of-range`. */
  keyDays: 400,
  /** Subject filters of one agent's consumer; beyond it topology widens the filter to the project. */
  filtersPerConsumer: 100,
  /** Flow records in one message on the bus; an agent splits larger batches. */
  flowsPerBatch: 500,
  /** Live connections that one answer tells, that of a node and that of the HTTP door. More: counted, and told as `notTold`. */
  connectionsPerAnswer: 20_000,
  /** Bytes of connections in one message on the bus; a node's answer that is larger comes in parts. */
  connectionsPartBytes: 512 * 1024,
  /** Milliseconds that the HTTP door waits for what nodes say of their connections. Later: the node is told as missing. */
  connectionsAnswerMs: 4_000,
  /** Questions about connections that wait at one node while it answers another. More: not answered, so that the node is told as missing. */
  connectionsWaiting: 16,
  /** Questions about connections of one credential that are being answered. More: 429. */
  connectionsAsked: 4,
  /** Milliseconds that a reserved address waits for its endpoint before the reservation is undone. */
  leaseReserveMs: 30_000,
  /** Milliseconds that a service holds still for a backup without hearing of it again; then it goes on by itself, and that backup fails. */
  holdLeaseMs: 60_000,
  /** Milliseconds that a backup may make the services hold still, all in all. Longer: it is given up, `pause-too-long`, and the services go on. */
  holdLongestMs: 300_000,
  /** Bytes of a database's dump in one message on the bus, before it is written as base64. A longer dump comes in several. */
  dumpChunkBytes: 600_000,
  /** Bytes of an archive in one request of `osier restore`. More: refused, `too-large`. */
  restoreChunkBytes: 4 * 1024 * 1024,
  /** Bytes of a whole archive that is restored. More: refused, `archive-too-large`. */
  archiveBytes: 64 * 1024 * 1024 * 1024,
  /** Milliseconds after which an archive that was sent and not restored is thrown away. */
  restoreIdleMs: 600_000,
} as const;
