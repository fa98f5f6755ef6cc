import { readFileSync } from 'node:fs';

/** The kernel's programs tell times by the boot clock (CLOCK_BOOTTIME), whose zero is this many milliseconds after the epoch. */
export const bootTimeOf = (now: number): number => now - Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
/** A moment of the boot clock, as `2026-01-01T10:00:00.000Z`. */
export const timeOf = (bootNanoseconds: bigint, bootTime: number): string => new Date(bootTime + Number(bootNanoseconds / 1_000_000n)).toISOString();
