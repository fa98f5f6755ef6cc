/**
 * Every name that a lab leaves on the machine begins with `osier-<lab>-`, so that all of it is found again whatever was killed.
 * A lab's name has no "-": otherwise `osier-a-` would also be the beginning of what lab `a-b` made.
 */
const labName = /^[a-z][a-z0-9]{0,11}$/;
export const defaultLab = 'osier';

/** The command that starts or repairs this lab, and no other one. */
export const upCommand = (lab: string): string => `osier lab up${lab === defaultLab ? '' : ` --name ${lab}`}`;

export class LabError extends Error {
  override readonly name = 'LabError';
  /** What to do about it, one imperative sentence. */
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

export function checkLabName(name: string): string {
  if (labName.test(name)) return name;
  throw new LabError(`"${name.slice(0, 40)}" cannot name a lab`, 'Use at most 12 lower-case letters and digits, a letter first.');
}

const prefix = (lab: string): string => `osier-${lab}-`;
export const underlayNamespace = (lab: string): string => `${prefix(lab)}underlay`;
export const nodeNamespace = (lab: string, node: string): string => `${prefix(lab)}${node}`;
/** "." joins the two: neither an environment's nor a workload's name can hold one. */
export const workloadNamespace = (lab: string, environment: string, workload: string): string => `${prefix(lab)}w-${environment}.${workload}`;
export const belongsTo = (lab: string, namespace: string): boolean => namespace.startsWith(prefix(lab));

/** `staging/web`: how people name a workload. */
export const workloadPath = (w: { readonly environment: string; readonly name: string }): string => `${w.environment}/${w.name}`;
export function parseWorkloadPath(path: string): { environment: string; name: string } {
  const [environment, name, extra] = path.split('/');
  if (environment && name && extra === undefined) return { environment, name };
  throw new LabError(`"${path}" names no workload`, 'Write it as environment/workload, such as staging/web.');
}
