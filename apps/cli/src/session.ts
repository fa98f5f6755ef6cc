import type { Command } from 'commander';
import { type Client, clientOf } from './client.ts';
import { type ConnectionOptions, type Connection, connectionOf } from './connection.ts';
import type { Format, Io } from './io.ts';
import { levels, type Place } from './place.ts';

/** Options that every command which speaks to Osier has. */
export interface CommonOptions extends ConnectionOptions, Place { readonly output: Format }

/** What a command works with: where Osier is, what was asked for, the defaults. */
export interface Session {
  readonly io: Io;
  readonly client: Client;
  readonly connection: Connection;
  readonly format: Format;
  /** Scope named on the command line. */
  readonly asked: Place;
  /** Scope named on the command line, by the environment, or by the lab. */
  readonly place: Place;
}

export function sessionOf(io: Io, options: CommonOptions): Session {
  const connection = connectionOf(options, io.env);
  const asked = Object.fromEntries(levels.flatMap((level) => (options[level] === undefined ? [] : [[level, options[level]]])));
  return { io, connection, client: clientOf(connection, io.signal), format: options.output, asked, place: { ...connection.defaults, ...asked } };
}

export const optionsOf = <T>(command: Command): T => command.optsWithGlobals<T & object>() as T;
