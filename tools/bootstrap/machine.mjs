// What the machine must be and have: root on Linux with the rights to make namespaces and load programs.
import { readFileSync } from 'node:fs';
import { MACHINE_NEEDS, NODE_MINIMUM } from './versions.mjs';
import { SetupError, findCommand, hasLibrary, run, step } from './run.mjs';

const CAPABILITIES = { 12: 'CAP_NET_ADMIN', 21: 'CAP_SYS_ADMIN' };

/** Throws a SetupError for the first thing about this machine that set-up cannot change. */
export function checkMachine() {
  if (process.platform !== 'linux') {
    throw new SetupError(`Osier needs Linux, this is ${process.platform}`, 'run it in a Linux virtual machine (Debian 12 or newer)');
  }
  if (process.arch !== 'x64') {
    throw new SetupError(`Osier has been built and tested on x64 only, this is ${process.arch}`, 'use an x64 machine');
  }
  const major = Number(process.versions.node.split('.')[0]);
  if (major < NODE_MINIMUM) {
    throw new SetupError(`Node ${process.versions.node} is too old`, `install Node ${NODE_MINIMUM} or newer and run the command again`);
  }
  if (process.getuid() !== 0) {
    throw new SetupError('Osier needs root: it makes network namespaces and loads programs into the kernel', 'run the command again as root (sudo)');
  }
  const missing = missingCapabilities(readFileSync('/proc/self/status', 'utf8'));
  if (missing.length > 0) {
    throw new SetupError(`this root lacks ${missing.join(' and ')}`, 'in a container, start it with --privileged; otherwise use a real root shell');
  }
}

/** Names of the needed capabilities that the text of /proc/self/status does not grant. */
export function missingCapabilities(status) {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return Object.entries(CAPABILITIES)
    .filter(([bit]) => ((effective >> BigInt(bit)) & 1n) === 0n)
    .map(([, name]) => name);
}

export function missingNeeds() {
  return MACHINE_NEEDS.filter((need) => (need.command ? findCommand(need.command) === undefined : !hasLibrary(need.library)));
}

/** Installs what is missing with apt, refreshing the package lists only when the first try fails. */
export async function installNeeds() {
  const packages = missingNeeds().map((need) => need.package);
  if (packages.length === 0) return;
  await step(`machine packages ${packages.join(', ')}`, async () => {
    const fix = `install ${packages.join(' and ')} yourself, then run the command again`;
    const apt = findCommand('apt-get');
    if (apt === undefined) throw new SetupError(`${packages.join(' and ')} missing, and this machine has no apt`, fix);
    const options = { env: { DEBIAN_FRONTEND: 'noninteractive' } };
    const install = () =>
      run(apt, ['-y', '-o', 'DPkg::Lock::Timeout=120', 'install', '--no-install-recommends', ...packages], options);
    let result = await install();
    if (result.status !== 0) {
      const update = await run(apt, ['-o', 'DPkg::Lock::Timeout=120', 'update'], options);
      result = await install();
      if (result.status !== 0) throw new SetupError(`apt could not install ${packages.join(' ')}`, fix, update.output + result.output);
    }
    const still = missingNeeds().map((need) => need.package);
    if (still.length > 0) throw new SetupError(`apt installed ${still.join(' ')} but it is not where it should be`, fix, result.output);
    return 'installed';
  });
}
