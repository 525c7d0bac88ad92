import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Call } from './recording.ts'

/** What happens to what was not synced; `random` is below 1. */
export type Unsynced = 'dropped' | { readonly random: () => number }

/** What a disk writes at once, whatever else happens. */
const SECTOR_BYTES = 512

interface Write {
  readonly at: number
  readonly bytes: Buffer
}

type Change = Write | { readonly length: number }

/**
 * `unsynced`: no sync came since. `synced`: one did. `doubtful`: one failed, and the kernel takes it for written: no later
 * sync writes it.
 */
interface Done {
  readonly change: Change
  state: 'unsynced' | 'synced' | 'doubtful'
}

/** A file: what is surely on the disk, and what was done to it after that, in order. */
interface Inode {
  disk: Buffer
  done: Done[]
  /** As the process sees it. */
  length: number
}

/** The name of a file, or of a folder (`folder`), or that it is gone. */
interface NameChange {
  readonly path: string
  readonly inode: Inode | 'folder' | undefined
}

/**
 * A disk under a recorded process. What a sync of a file covered is there, and what a failed one covered may never be,
 * because the kernel takes those pages for written. A name that was made, changed or removed is there when its folder
 * was synced since. Of all else every part may be lost, whole or in part.
 */
export class Disk {
  readonly #folder: string
  /** As the process sees them. */
  readonly #files = new Map<string, Inode>()
  readonly #folders = new Set<string>()
  /** As they are surely on the disk. */
  readonly #names = new Map<string, Inode | 'folder'>()
  /** Changes of names whose folder was not synced yet, in order. */
  #pending: NameChange[] = []
  /** Where the next `write` of a descriptor goes. */
  readonly #positions = new Map<number, number>()

  /** `folder` is what is looked at; it is there from the beginning. */
  constructor(folder: string) {
    this.#folder = folder
    this.#folders.add(folder)
  }

  apply(call: Call): void {
    const [path = '', other = ''] = call.paths
    if (path !== this.#folder && !path.startsWith(`${this.#folder}/`)) return
    if (call.name === 'fsync' || call.name === 'fdatasync') this.#sync(path, call.result === 0)
    else if (call.result < 0) return
    else if (call.name === 'openat') this.#open(path, call)
    else if (call.name === 'mkdir') this.#name(path, 'folder')
    else if (call.name === 'unlink' || call.name === 'rmdir') this.#name(path, undefined)
    else if (call.name === 'link') this.#name(other, this.#files.get(path))
    else if (call.name === 'rename') {
      this.#name(other, this.#folders.has(path) ? 'folder' : this.#files.get(path))
      this.#name(path, undefined)
    } else this.#write(path, call)
  }

  /** Writes what a power cut leaves now; the disk may go on. */
  writeTo(target: string, unsynced: Unsynced): void {
    const names = new Map(this.#names)
    // File systems keep the order of what is done to names.
    const more = unsynced === 'dropped' ? 0 : Math.floor(unsynced.random() * (this.#pending.length + 1))
    for (const change of this.#pending.slice(0, more)) rename(names, change)
    mkdirSync(target, { recursive: true })
    const isThere = (folder: string): boolean =>
      folder === this.#folder || (names.get(folder) === 'folder' && isThere(dirname(folder)))
    for (const [path, inode] of names) {
      if (!isThere(dirname(path))) continue
      const file = join(target, path.slice(this.#folder.length))
      mkdirSync(dirname(file), { recursive: true })
      if (inode === 'folder') mkdirSync(file, { recursive: true })
      else writeFileSync(file, applied(Buffer.from(inode.disk), remains(inode.done, unsynced)))
    }
  }

  #open(path: string, { text, result }: Call): void {
    if (!this.#files.has(path) && text.includes('O_CREAT')) {
      this.#name(path, { disk: Buffer.alloc(0), done: [], length: 0 })
    }
    const inode = this.#files.get(path)
    if (inode === undefined) return
    if (text.includes('O_TRUNC') && inode.length > 0) add(inode, { length: 0 })
    this.#positions.set(result, text.includes('O_APPEND') ? inode.length : 0)
  }

  #write(path: string, { name, descriptor = -1, paths, bytes, number, result }: Call): void {
    const inode = this.#files.get(name === 'copy_file_range' ? (paths[1] ?? '') : path)
    if (inode === undefined) return
    if (name === 'ftruncate') return add(inode, { length: number })
    const at = name === 'pwrite64' ? number : (this.#positions.get(descriptor) ?? 0)
    if (name !== 'pwrite64') this.#positions.set(descriptor, at + result)
    const from = name === 'copy_file_range' ? this.#read(path, at) : bytes
    add(inode, { at, bytes: from.subarray(0, result) })
  }

  /** What the process sees from a place on. */
  #read(path: string, at: number): Buffer {
    const { disk, done } = this.#files.get(path) ?? { disk: Buffer.alloc(0), done: [] }
    return applied(
      Buffer.from(disk),
      done.map(({ change }) => change),
    ).subarray(at)
  }

  #sync(path: string, isGood: boolean): void {
    const inode = this.#files.get(path)
    if (inode !== undefined) return settle(inode, isGood)
    if (!isGood) return
    for (const change of this.#pending) if (dirname(change.path) === path) rename(this.#names, change)
    this.#pending = this.#pending.filter((change) => dirname(change.path) !== path)
  }

  #name(path: string, inode: Inode | 'folder' | undefined): void {
    this.#files.delete(path)
    this.#folders.delete(path)
    if (inode === 'folder') this.#folders.add(path)
    else if (inode !== undefined) this.#files.set(path, inode)
    this.#pending.push({ path, inode })
  }
}

function rename(names: Map<string, Inode | 'folder'>, { path, inode }: NameChange): void {
  names.delete(path)
  if (inode !== undefined) names.set(path, inode)
}

function add(inode: Inode, change: Change): void {
  inode.done.push({ change, state: 'unsynced' })
  inode.length = 'length' in change ? change.length : Math.max(inode.length, change.at + change.bytes.length)
}

function settle(inode: Inode, isGood: boolean): void {
  for (const done of inode.done) if (done.state === 'unsynced') done.state = isGood ? 'synced' : 'doubtful'
  const doubtful = inode.done.findIndex(({ state }) => state === 'doubtful')
  const sure = inode.done.splice(0, doubtful < 0 ? inode.done.length : doubtful)
  inode.disk = applied(
    inode.disk,
    sure.map(({ change }) => change),
  )
}

/** What is on the disk of what was done. */
function remains(done: readonly Done[], unsynced: Unsynced): Change[] {
  return done.flatMap(({ change, state }) => {
    if (state === 'synced') return [change]
    return unsynced === 'dropped' ? [] : torn(change, unsynced.random)
  })
}

/** Nothing of a change, all of it, or any of its sectors. */
function torn(change: Change, random: () => number): Change[] {
  const luck = random()
  if (luck < 0.4) return []
  if (luck < 0.8 || 'length' in change) return [change]
  const sectors: Write[] = []
  for (let at = 0; at < change.bytes.length;) {
    const end = Math.min(at + SECTOR_BYTES - ((change.at + at) % SECTOR_BYTES), change.bytes.length)
    if (random() < 0.5) sectors.push({ at: change.at + at, bytes: change.bytes.subarray(at, end) })
    at = end
  }
  return sectors
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
