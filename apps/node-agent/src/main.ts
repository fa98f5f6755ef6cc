//   STATE ──node-<N>, join-<N>──► sessions ──view──► enforcer ──put, flip, remove──► kernel (maps, programs, devices)
//                                    ▲                  │                              │            │
//   OBSERVATIONS ◄──hello────────────┘                  │◄──────────witness────────────┘            │ ring buffer
//   RECEIPTS     ◄──what is enforced, read back─────────┤                                           ▼
//   OBSERVATIONS ◄──drift, repair, capacity, drops── upkeep                    FLOWS ◄──batches── flows
import 'reflect-metadata';
import { renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Bus } from '@osier/bus/bus';
import { connectBus } from '@osier/bus/jetstream';
import { loginFrom } from '@osier/runtime/config';
import type { Kernel } from '@osier/dataplane/kernel';
import { ensureBpffs, openKernel } from '@osier/dataplane/kernel/open';
import { natsTls } from '@osier/runtime/nats-settings';
import { createLog } from '@osier/telemetry/log';
import { startTracing } from '@osier/telemetry/start';
import { v7 } from 'uuid';
import { startAgent } from './agent.ts';
import { cleanup } from './cleanup.ts';
import { readCleanupConfig, readConfig } from './config.ts';
import { startHealth } from './health.ts';
import { witnessOf } from './kernel/witness.ts';

const [BUS, KERNEL, AGENT] = ['bus', 'kernel', 'agent'];

async function main(): Promise<void> {
  if (process.argv.includes('--cleanup')) return cleanup(readCleanupConfig(process.env));
  const config = readConfig(process.env);
  const log = createLog({ service: `node-agent ${config.OSIER_NODE}`, level: config.OSIER_LOG_LEVEL });
  const tracing = await startTracing('node-agent');
  const health = await startHealth(config.OSIER_HEALTH_PORT, log);
  const where = { pinDir: config.OSIER_PIN_DIR, ...(config.OSIER_NODE_NETNS === undefined ? {} : { netnsPath: config.OSIER_NODE_NETNS }) };
  const onReady = (): void => {
    health.ready();
    if (config.OSIER_READY_FILE === undefined) return;
    writeFileSync(`${config.OSIER_READY_FILE}.tmp`, `${JSON.stringify({ pid: process.pid, health: health.port })}\n`);
    renameSync(`${config.OSIER_READY_FILE}.tmp`, config.OSIER_READY_FILE);
  };
  let collecting: NodeJS.Timeout | undefined;
  class AgentModule {}
  Module({
    providers: [
      { provide: KERNEL, useFactory: (): Kernel => {
        ensureBpffs(dirname(where.pinDir));
        const kernel = openKernel(where);
        // Idle flows end though the bus may be away for long; the agent takes this over.
        collecting = setInterval(() => void kernel.collect(), 2_000);
        return kernel;
      } },
      { provide: BUS, inject: [KERNEL], useFactory: () => {
        return connectBus({ url: config.OSIER_NATS_URL, login: loginFrom(config.OSIER_CREDENTIALS_FILE), name: `osier-node-agent ${config.OSIER_NODE}`, tls: natsTls(config) });
      } },
      { provide: AGENT, inject: [KERNEL, BUS], useFactory: (kernel: Kernel, bus: Bus) => startAgent({
        node: config.OSIER_NODE, bus, kernel, log, witness: witnessOf(where, config.OSIER_NETNS_DIR), underlayAddress: config.OSIER_UNDERLAY_ADDRESS, onReady, now: Date.now, newId: () => v7(),
        devices: { netnsDir: config.OSIER_NETNS_DIR, underlayMtu: config.OSIER_MTU, underlayDevice: config.OSIER_UNDERLAY_DEVICE, vxlanPort: config.OSIER_VXLAN_PORT },
      }) },
    ],
  })(AgentModule);
  const app = await NestFactory.createApplicationContext(AgentModule, { logger: false, abortOnError: false });
  clearInterval(collecting);
  log.info({ node: config.OSIER_NODE, restored: app.get<Kernel>(KERNEL).restored }, 'running');

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping; the kernel goes on as it is');
    const patience = new Promise((resolve) => setTimeout(resolve, 1500));
    await Promise.race([app.get<{ stop(): Promise<void> }>(AGENT).stop(), patience]);
    app.get<Kernel>(KERNEL).close();
    await Promise.race([Promise.all([app.get<Bus>(BUS).close(), tracing.shutdown(), app.close()]), patience]);
    health.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
}

main().catch((error: unknown) => {
  process.stderr.write(`osier-node-agent cannot start: ${error instanceof Error ? `${error.message}${'fix' in error ? ` ${String(error.fix)}` : ''}` : String(error)}\n`);
  process.exit(1);
});
