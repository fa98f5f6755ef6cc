// The one small process that keeps a lab's programs running.
//
//   lab up ──► processes/*.json ──► supervisor ──► nats-server · services · api · agents · workloads
//                  (wishes)            │  ▲              pids/*.json, logs/*.log
//                                      └──┘ run/supervisor.sock: sync, status, hold, release
//
// usage: supervisor.ts LAB [OWNER_PID OWNER_START_TIME]   with an owner, the lab ends when the owner does
import { checkLabName } from '@osier/lab/names';
import { labPaths, nodeBinary, program } from '@osier/lab/paths';
import { serveLines } from '@osier/lab/line-socket';
import { startDetached } from '@osier/lab/supervisor/child';
import { registerSupervisor, supervise } from '@osier/lab/supervisor/supervise';
import { isAlive, self } from '@osier/lab/system/processes';

const [name = '', ownerPid, ownerStart] = process.argv.slice(2);
const lab = checkLabName(name);
const paths = labPaths(lab);
const log = (event: Record<string, unknown>): void => console.log(JSON.stringify({ time: new Date().toISOString(), ...event }));

registerSupervisor(paths, self());
const supervision = supervise(paths, log);
const server = await serveLines(paths.supervisorSocket, async (question) => {
  const names = (question.names ?? []) as string[];
  if (question.do === 'sync') await supervision.sync();
  else if (question.do === 'hold') await supervision.hold(names, question.signal === 'SIGKILL' ? 'SIGKILL' : 'SIGTERM');
  else if (question.do === 'release') await supervision.release(names);
  return supervision.status();
});
await supervision.sync();

function leave(): void {
  supervision.stop();
  server.close();
  process.exit(0);
}
process.once('SIGTERM', leave);
process.once('SIGINT', leave);

if (ownerPid !== undefined && ownerStart !== undefined) {
  const owner = { pid: Number(ownerPid), startTime: ownerStart };
  setInterval(() => {
    if (isAlive(owner)) return;
    log({ event: 'owner-gone', owner: owner.pid });
    startDetached({ argv: [nodeBinary, program('lab', 'down'), lab], env: {}, log: '/dev/null' });
    leave();
  }, 1_000);
}
