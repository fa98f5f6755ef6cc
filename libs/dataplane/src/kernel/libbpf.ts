/** libbpf.so.1 through koffi. Every function returns -errno on failure. */
import koffi from 'koffi';
import { KernelError } from './kernel.ts';

export type Handle = { readonly __handle: unique symbol };

export interface Libbpf {
  openObject(path: string, options: null): Handle | null;
  closeObject(object: Handle): void;
  load(object: Handle): number;
  findMap(object: Handle, name: string): Handle | null;
  mapFd(map: Handle): number;
  mapType(map: Handle): number;
  keySize(map: Handle): number;
  valueSize(map: Handle): number;
  reuseFd(map: Handle, fd: number): number;
  setMaxEntries(map: Handle, entries: number): number;
  findProgram(object: Handle, name: string): Handle | null;
  programFd(program: Handle): number;
  setLogBuffer(program: Handle, buffer: Uint8Array, size: number): number;
  pin(fd: number, path: string): number;
  get(path: string): number;
  updateElem(fd: number, key: Uint8Array, value: Uint8Array, flags: number): number;
  lookupElem(fd: number, key: Uint8Array, value: Uint8Array): number;
  updateBatch(fd: number, keys: Uint8Array, values: Uint8Array, count: Uint32Array, options: null): number;
  lookupBatch(fd: number, from: Uint8Array | null, next: Uint8Array, keys: Uint8Array, values: Uint8Array, count: Uint32Array, options: null): number;
  deleteBatch(fd: number, keys: Uint8Array, count: Uint32Array, options: null): number;
  info(fd: number, info: Uint8Array, size: Uint32Array): number;
  testRun(fd: number, options: Uint8Array): number;
  cpus(): number;
}

let loaded: Libbpf | undefined;

export function libbpf(): Libbpf {
  loaded ??= bind(loadLibrary());
  return loaded;
}

function loadLibrary() {
  try {
    return koffi.load('libbpf.so.1');
  } catch {
    throw new KernelError('libbpf-missing', 'libbpf.so.1 is not installed', 'libbpf.so.1', 'Install it: apt-get install libbpf1');
  }
}

function bind(library: ReturnType<typeof koffi.load>): Libbpf {
  // libbpf writes to stderr on its own otherwise
  library.func('void *libbpf_set_print(void *print)')(null);
  const bindings = {
    openObject: library.func('void *bpf_object__open_file(const char *path, const void *options)'),
    closeObject: library.func('void bpf_object__close(void *object)'),
    load: library.func('int bpf_object__load(void *object)'),
    findMap: library.func('void *bpf_object__find_map_by_name(const void *object, const char *name)'),
    mapFd: library.func('int bpf_map__fd(const void *map)'),
    mapType: library.func('int bpf_map__type(const void *map)'),
    keySize: library.func('uint32_t bpf_map__key_size(const void *map)'),
    valueSize: library.func('uint32_t bpf_map__value_size(const void *map)'),
    reuseFd: library.func('int bpf_map__reuse_fd(void *map, int fd)'),
    setMaxEntries: library.func('int bpf_map__set_max_entries(void *map, uint32_t entries)'),
    findProgram: library.func('void *bpf_object__find_program_by_name(const void *object, const char *name)'),
    programFd: library.func('int bpf_program__fd(const void *program)'),
    setLogBuffer: library.func('int bpf_program__set_log_buf(void *program, void *buffer, size_t size)'),
    pin: library.func('int bpf_obj_pin(int fd, const char *path)'),
    get: library.func('int bpf_obj_get(const char *path)'),
    updateElem: library.func('int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)'),
    lookupElem: library.func('int bpf_map_lookup_elem(int fd, const void *key, _Out_ void *value)'),
    updateBatch: library.func('int bpf_map_update_batch(int fd, const void *keys, const void *values, _Inout_ uint32_t *count, const void *options)'),
    lookupBatch: library.func(
      'int bpf_map_lookup_batch(int fd, const void *from, _Out_ void *next, _Out_ void *keys, _Out_ void *values, _Inout_ uint32_t *count, const void *options)',
    ),
    deleteBatch: library.func('int bpf_map_delete_batch(int fd, const void *keys, _Inout_ uint32_t *count, const void *options)'),
    info: library.func('int bpf_obj_get_info_by_fd(int fd, _Inout_ void *info, _Inout_ uint32_t *size)'),
    testRun: library.func('int bpf_prog_test_run_opts(int fd, _Inout_ void *options)'),
    cpus: library.func('int libbpf_num_possible_cpus()'),
  };
  return bindings as unknown as Libbpf;
}

const ADDRESS_OF = (bytes: Uint8Array): bigint => koffi.address(bytes);

/** Address of a buffer, for structures that hold pointers. The caller keeps the buffer alive. */
export function addressOf(bytes: Uint8Array): bigint {
  return ADDRESS_OF(bytes);
}
