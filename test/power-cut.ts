import { Disk, type Unsynced } from './power-cut/disk.ts'
import { callsOf, type Call } from './power-cut/recording.ts'

/** What strace has to record so that `cutPower` can tell what was on it. */
const CALLS = 'openat,write,pwrite64,ftruncate,copy_file_range,fsync,fdatasync,rename,unlink,rmdir,link,mkdir'

/**
 * Wraps a command so that its system calls are recorded. `failing` is a range of syncs, counted per thread from 1
 * ("7", "7..9"), that report an input/output error: as Linux does it, once, with the pages taken for written.
 */
export function recorded(command: readonly string[], trace: string, failing?: string): string[] {
  const inject = failing === undefined ? [] : ['-e', `inject=fsync,fdatasync:error=EIO:when=${failing}`]
  const shown = ['-f', '--seccomp-bpf', '-y', '-xx', '-ttt', '-s', '4000000']
  return ['strace', ...shown, '-o', trace, '-e', `trace=${CALLS}`, ...inject, ...command]
}

/** Moments of a cut, as parts of a recording: while there is trouble, and at its end. */
export const CUTS = [0.5, 0.6, 0.7, 0.8, 0.9, 1]

export interface PowerCut {
  /** The recording, as text. */
  readonly trace: string
  /** The data folder of the recorded process, and where its remains are written. */
  readonly folder: string
  readonly target: string
  /** How much of the recording came before the cut, up to 1. */
  readonly at?: number
  readonly unsynced?: Unsynced
}

/** Writes the folder as a power cut leaves it, and returns the lines that the process wrote to its standard output before. */
export function cutPower({ trace, folder, target, at = 1, unsynced = 'dropped' }: PowerCut): string[] {
  const calls = callsIn(trace)
  const before = calls.slice(0, Math.ceil(calls.length * at))
  const disk = new Disk(folder)
  for (const call of before) disk.apply(call)
  disk.writeTo(target, unsynced)
  const said = before.filter(({ name, descriptor }) => name === 'write' && descriptor === 1)
  const text = Buffer.concat(said.map(({ bytes }) => bytes)).toString()
  return text.split('\n').slice(0, -1)
}

let parsed: { readonly trace: string; readonly calls: readonly Call[] } = { trace: '', calls: [] }

/** One recording is cut at many moments. */
function callsIn(trace: string): readonly Call[] {
  if (parsed.trace !== trace) parsed = { trace, calls: callsOf(trace) }
  return parsed.calls
}
