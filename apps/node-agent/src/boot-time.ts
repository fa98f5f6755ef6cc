import { readFileSync } from 'node:fs';

/** The kernel's programs tell times by the boot clock (CLOCK_BOOTTIME), whose zero is this many milliseconds after the epoch. */
export const bootTimeOf = (now: number): number => now - Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
