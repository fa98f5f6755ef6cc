import 'reflect-metadata';
import { Controller, Get, HttpException, Module } from '@nestjs/common';
import type { Type } from '@nestjs/common';

export interface Health { readonly ready: boolean }

/**
 * A Nest module with `/healthz` (the process is alive) and `/readyz` (200 while it does its work, 503 with the parts otherwise).
 * Decorators are called as functions: Node strips types and knows no decorator syntax.
 */
export function healthModule(readiness: () => Health): Type {
  class HealthController {
    alive(): object {
      return { alive: true };
    }
    ready(): object {
      const health = readiness();
      if (!health.ready) throw new HttpException({ ...health }, 503);
      return health;
    }
  }
  const route = (method: 'alive' | 'ready', path: string): void => {
    const descriptor = Object.getOwnPropertyDescriptor(HealthController.prototype, method) as PropertyDescriptor;
    Get(path)(HealthController.prototype, method, descriptor);
  };
  route('alive', 'healthz');
  route('ready', 'readyz');
  Controller()(HealthController);

  class HealthModule {}
  Module({ controllers: [HealthController] })(HealthModule);
  return HealthModule;
}
