import type { Meeting } from '../rules/decide.ts';
import type { IndexedWorld } from '../rules/index-world.ts';
import type { Side } from '../rules/model.ts';
import type { Assertion } from './assertions.ts';
import { checker, type Outcome, usual, type Witness } from './check.ts';
import { type Range, within } from './ports.ts';
import { firstPort, lastPort, type Span, spanner } from './spans.ts';

/** One packet to send, between parties by their names. */
export interface PacketQuestion { readonly from: string; readonly to: string; readonly protocol: string; readonly port: number }
export interface PacketCheck {
  readonly questions: readonly PacketQuestion[];
  /** `passed`: of each question, in their order. */
  outcomes(passed: readonly boolean[]): Outcome[];
}

/** What has ports, and a lab can speak. */
export const transports: readonly string[] = ['TCP', 'UDP', 'SCTP'];
const open: Span['sides'] = { egress: undefined, ingress: undefined };
const closed: Span['sides'] = { egress: undefined, ingress: { action: 'Deny', tier: 'Network', policy: undefined, rule: 'no answer', others: 0 } };

/**
 * Assertions against what packets meet. The rules only say which ports are worth a packet: one of each range that they tell apart, that the assertion
 * names or that the destination declares. Whether it passes, the packet says. IPv4.
 */
export function packetCheck(index: IndexedWorld, assertions: readonly Assertion[], knows: (side: Side) => boolean): PacketCheck {
  const spansOf = spanner(transports);
  const asked = new Map<string, PacketQuestion>();
  const witness = (sidesOf: (question: PacketQuestion) => Span['sides']): Witness => ({
    knows,
    spansOf: (meeting, assertion) => new Map(meeting.family === 6 ? [] : [...spansOf(meeting)].map(([protocol, spans]) => [protocol, ranges(meeting, assertion, protocol, spans).map((range): Span => ({
      ...range, sides: isAskedFor(assertion, protocol, range) ? sidesOf({ from: meeting.from.name, to: meeting.to.name, protocol, port: usual(protocol, range) }) : open,
    }))])),
  });
  const run = (of: Witness): Outcome[] => {
    const check = checker(index, assertions, of);
    return assertions.map((assertion) => check(assertion));
  };
  run(witness((question) => {
    asked.set(keyOf(question), question);
    return open;
  }));
  const questions = [...asked.values()];
  return {
    questions,
    outcomes: (passed) => {
      const answers = new Map(questions.map((question, i) => [keyOf(question), passed[i] === true]));
      return run(witness((question) => (answers.get(keyOf(question)) === true ? open : closed)));
    },
  };
}
const keyOf = ({ from, to, protocol, port }: PacketQuestion): string => `${from}\n${to}\n${protocol} ${port}`;

function ranges({ to }: Meeting, assertion: Assertion, protocol: string, spans: readonly Range[]): Range[] {
  const declared = to.type === 'party' ? to.ports.filter((port) => port.protocol === protocol).map(({ port }): Range => ({ first: port, last: port })) : [];
  const named = (assertion.ports ?? []).filter((port) => port.protocol === protocol);
  const starts = new Set([...spans, ...declared, ...named].flatMap(({ first, last }) => [first, last + 1]).filter((at) => at >= firstPort(protocol) && at <= lastPort));
  const sorted = [firstPort(protocol), ...[...starts].filter((at) => at !== firstPort(protocol)).sort((a, b) => a - b)];
  return sorted.map((first, i) => ({ first, last: (sorted[i + 1] ?? lastPort + 1) - 1 }));
}

function isAskedFor({ ports, expect, otherPorts }: Assertion, protocol: string, range: Range): boolean {
  if (ports === undefined || ((expect === 'onlyFrom' || expect === 'onlyTo') && otherPorts === 'denied')) return true;
  return within([range], ports.filter((port) => port.protocol === protocol)).length > 0;
}
