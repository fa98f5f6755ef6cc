import { namespaceTag } from '@osier/domain/kubernetes/documents';
import type { AppProtocol, AppService, AppWorkload } from './application.ts';
import { asList, asMap, dig, ManifestError, type ManifestObject, textMap } from './manifests.ts';

/** Service → a name for workloads of its namespace. `name`: what it is called in the environment. */
export function serviceOf(object: ManifestObject, name: string, workloads: readonly AppWorkload[]): AppService {
  const labels = textMap(dig(object.value, 'spec', 'selector'));
  const selector = Object.keys(labels).length === 0 ? {} : { ...labels, [namespaceTag]: object.namespace };
  const behind = workloads.filter((w) => Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => w.tags[key] === value));
  const ports = asList(dig(object.value, 'spec', 'ports')).map((entry, index) => {
    const field = `spec.ports[${index}]`;
    const { name: portName, port, targetPort, protocol } = asMap(entry) ?? {};
    if (typeof port !== 'number') throw new ManifestError(object, `${field}.port`, 'is not a number', 'Give the port as a number.');
    const target = typeof targetPort === 'string' ? behind.flatMap((w) => w.ports).find((p) => p.name === targetPort)?.port : (targetPort ?? port);
    if (typeof target !== 'number') throw new ManifestError(object, `${field}.targetPort`, `"${String(targetPort)}" names no port of the pods that it selects`, 'Name one of their container ports.');
    return { ...(typeof portName === 'string' ? { name: portName } : {}), protocol: protocolOf(object, `${field}.protocol`, protocol), port, targetPort: target };
  });
  return { name, path: `${object.namespace}/${object.name}`, selector, ports };
}

/** Kubernetes' protocols; its default is TCP. */
function protocolOf(object: ManifestObject, field: string, value: unknown): AppProtocol {
  if (value === undefined || value === null) return 'TCP';
  if (value === 'TCP' || value === 'UDP' || value === 'SCTP') return value;
  throw new ManifestError(object, field, `${JSON.stringify(value)} is no protocol of a Service`, 'Use TCP, UDP or SCTP.');
}
