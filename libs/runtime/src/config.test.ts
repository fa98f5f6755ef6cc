import { describe, expect, it } from '@jest/globals';
import { ConfigProblem, loginFrom, readServiceConfig } from './config.ts';
import { natsTls } from './nats-settings.ts';

const good = { OSIER_NATS_URL: 'nats://127.0.0.1:4222', OSIER_CREDENTIALS_FILE: '/c.json', OSIER_DATA_DIR: '/d' };

describe('the configuration of a service', () => {
  it('has defaults for what may be left out, and takes an empty variable for none', () => {
    expect(readServiceConfig({ ...good, OSIER_LOG_LEVEL: '', PATH: '/bin' })).toEqual({ ...good, OSIER_LOG_LEVEL: 'info', OSIER_HEALTH_PORT: 0, OSIER_STREAM_REPLICAS: 1 });
  });
  it('keeps streams on one server, or on three: no other number survives more than the one below it', () => {
    expect(readServiceConfig({ ...good, OSIER_STREAM_REPLICAS: '3' })).toMatchObject({ OSIER_STREAM_REPLICAS: 3 });
    for (const bad of ['0', '2', '5', '1.5', 'three', '-3']) expect(() => readServiceConfig({ ...good, OSIER_STREAM_REPLICAS: bad })).toThrow(/OSIER_STREAM_REPLICAS: .*1 or 3/);
  });
  it('names the files of TLS, where there are any', () => {
    expect(natsTls(readServiceConfig(good))).toBeUndefined();
    const files = { OSIER_NATS_TLS_CA: '/ca', OSIER_NATS_TLS_CERT: '/cert', OSIER_NATS_TLS_KEY: '/key' };
    expect(natsTls(readServiceConfig({ ...good, ...files }))).toEqual({ ca: '/ca', cert: '/cert', key: '/key' });
    expect(natsTls(readServiceConfig({ ...good, OSIER_NATS_TLS_CERT: '/cert', OSIER_NATS_TLS_KEY: '' }))).toEqual({ ca: undefined, cert: '/cert', key: undefined });
  });
  it('says of everything that is wrong what it is and what it is for', () => {
    const read = () => readServiceConfig({ OSIER_NATS_URL: 'nats://x', OSIER_DATA_DIR: '', OSIER_HEALTH_PORT: 'many', OSIER_CREDENTIALS_FILE: '/c' });
    expect(read).toThrow(ConfigProblem);
    expect(read).toThrow(/OSIER_DATA_DIR: is not set \(Directory of its database\)\n.*OSIER_HEALTH_PORT: .*Port of/s);
  });
  it.each([
    ['mysql://h/db', /OSIER_DATABASE_URL: is not the URL of a PostgreSQL database \(postgres:/],
    ['just-a-host', /OSIER_DATABASE_URL: is not the URL/],
    ['postgres://u@h:5432', /OSIER_DATABASE_URL: names no database/],
  ])('takes no database of another kind: %s', (url, says) => {
    expect(() => readServiceConfig({ ...good, OSIER_DATABASE_URL: url })).toThrow(says);
  });
  it('needs no directory where the database is a PostgreSQL, and shows no password', () => {
    expect(readServiceConfig({ ...good, OSIER_DATA_DIR: '', OSIER_DATABASE_URL: 'postgresql://u@h/db' })).toMatchObject({ OSIER_DATABASE_URL: 'postgresql://u@h/db' });
    expect(() => readServiceConfig({ ...good, OSIER_DATABASE_URL: 'mariadb://u:very-secret@h/db' })).not.toThrow(/very-secret/);
  });
  it('never shows what is in a file of secrets', () => {
    expect(() => loginFrom('/nowhere/credentials.json')).toThrow('/nowhere/credentials.json cannot be used: ENOENT');
    expect(() => loginFrom(import.meta.filename)).toThrow('it is neither a NATS credentials file');
  });
});
