import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What strace has to record so that {@link cutPower} can tell what was on the disk. */
const CALLS = 'openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,link'

/**
 * Wraps a command so that its system calls are recorded. `failing` is a range of syncs, counted per thread from 1
 * ("7", "7..9"), that report an input/output error: as Linux does it, once, with the pages taken for written.
 */
export function recorded(command: readonly string[], trace: string, failing?: string): string[] {
  const inject = failing === undefined ? [] : ['-e', `inject=fsync,fdatasync:error=EIO:when=${failing}`]
  return ['strace', '-f', '-y', '-xx', '-s', '4000000', '-o', trace, '-e', `trace=${CALLS}`, ...inject, ...command]
}

/** Moments of a cut, as parts of a recording: while there is trouble, and at its end. */
export const CUTS = [0.5, 0.6, 0.7, 0.8, 0.9, 1]

/** What happens to bytes that were written and not synced; `random` is below 1. */
export type Unsynced = 'dropped' | { readonly random: () => number }

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

interface Write {
  readonly at: number
  readonly bytes: Buffer
}

type Change = Write | { readonly length: number }

/** A file: what is on the disk, and what is not yet. */
interface Inode {
  disk: Buffer
  unsynced: Change[]
}

/**
 * Writes the folder as a power cut leaves it, and returns the lines that the process wrote to its standard output before.
 * What a sync covered is there; what a failed one covered is lost, because the kernel takes those pages for written; the
 * rest is lost or kept as asked. Names are taken for durable: folders are synced by other tests.
 */
export function cutPower({ trace, folder, target, at = 1, unsynced = 'dropped' }: PowerCut): string[] {
  const files = new Map<string, Inode>()
  let said = ''
  const calls = callsOf(trace)
  for (const { name, args, result } of calls.slice(0, Math.ceil(calls.length * at))) {
    const [path = '', other = ''] = args.paths
    if (name === 'write' && args.descriptor === 1) said += args.bytes.toString()
    if (!path.startsWith(`${folder}/`)) continue
    const inode = files.get(path) ?? { disk: Buffer.alloc(0), unsynced: [] }
    if (name === 'fsync' || name === 'fdatasync') {
      if (result === 0) inode.disk = applied(inode.disk, inode.unsynced)
      inode.unsynced = []
    } else if (result < 0) continue
    else if (name === 'openat' && args.text.includes('O_CREAT')) files.set(path, inode)
    else if (name === 'pwrite64') inode.unsynced.push({ at: args.number, bytes: args.bytes })
    else if (name === 'ftruncate') inode.unsynced.push({ length: args.number })
    else if (name === 'unlink') files.delete(path)
    else if (name === 'link') files.set(other, inode)
    else if (name === 'rename') {
      files.set(other, inode)
      files.delete(path)
    }
  }
  for (const [path, { disk, unsynced: changes }] of files) {
    const kept = unsynced === 'dropped' ? [] : changes.filter(() => unsynced.random() < 0.5)
    const file = join(target, path.slice(folder.length))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, applied(disk, kept))
  }
  return said.split('\n').slice(0, -1)
}

/** The bytes after some changes, which may be those of `disk`, changed. */
function applied(disk: Buffer, changes: readonly Change[]): Buffer {
  let [bytes, length] = [disk, disk.length]
  for (const change of changes) {
    const end = 'length' in change ? change.length : Math.max(length, change.at + change.bytes.length)
    if (end > bytes.length) bytes = Buffer.concat([bytes.subarray(0, length)], end * 2)
    if (end < length) bytes.fill(0, end, length)
    length = end
    if ('bytes' in change) change.bytes.copy(bytes, change.at)
  }
  return bytes.subarray(0, length)
}

interface Call {
  readonly name: string
  readonly result: number
  readonly args: {
    readonly text: string
    readonly descriptor: number | undefined
    /** Of the descriptor, or as given. */
    readonly paths: readonly string[]
    readonly bytes: Buffer
    /** The last number: an offset or a length. */
    readonly number: number
  }
}

/** Every call that came back, in the order of coming back. */
function callsOf(trace: string): Call[] {
  const begun = new Map<string, string>()
  const calls: Call[] = []
  for (const line of trace.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, rest.slice(0, -'<unfinished ...>'.length))
      continue
    }
    const whole = resumed === null ? rest : `${begun.get(thread) ?? ''}${resumed[1]}`
    const [, name = '', text = '', result = ''] = /^(\w+)\((.*)\) += (-?\d+)/.exec(whole) ?? []
    if (name !== '') calls.push({ name, result: Number(result), args: argumentsOf(name, text) })
  }
  return calls
}

function argumentsOf(name: string, text: string): Call['args'] {
  const ofDescriptor = /^(\d+)<((?:[^<>]|->)*)>/.exec(text)
  const strings = [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => unescaped(hex))
  const isData = name === 'write' || name === 'pwrite64'
  return {
    text,
    descriptor: ofDescriptor === null ? undefined : Number(ofDescriptor[1]),
    paths: ofDescriptor === null || name === 'openat' ? strings.map(String) : [pathOf(ofDescriptor[2] ?? '')],
    bytes: (isData ? strings[0] : undefined) ?? Buffer.alloc(0),
    number: Number(/(\d+)\s*$/.exec(text)?.[1]),
  }
}

function pathOf(shown: string): string {
  return shown.includes('\\x') ? unescaped(shown).toString() : shown
}

function unescaped(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex')
}
